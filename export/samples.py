"""Pictures that travel with a version, all from its test set.

    sample.png                 the first, to try the service with
    samples.png, samples.json  a sheet of 100, row by row, and what is on each
    golden.npz                 64 with PyTorch's logits: a service that answers otherwise is broken

The golden pictures take the classes in turn, so that each is there.
"""

import json
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.card import GOLDEN, SAMPLE, SAMPLE_LABELS, SAMPLES, SIDE
from export.proof import Answers
from export.runners import Pixels

COLUMNS, ROWS = 10, 10  # of the sheet
GOLDEN_PICTURES = 64


def write_samples(
    folder: Path, pixels: Pixels, labels: NDArray[np.uint8], names: tuple[str, ...]
) -> None:
    """`names` are the classes' names; `labels` (n,) point into them."""
    shown = pixels[: COLUMNS * ROWS]
    places = np.zeros((ROWS * COLUMNS, SIDE, SIDE), np.uint8)  # what is missing stays black
    places[: len(shown)] = shown
    sheet = places.reshape(ROWS, COLUMNS, SIDE, SIDE).swapaxes(1, 2)  # rows, SIDE, columns, SIDE
    Image.fromarray(sheet.reshape(ROWS * SIDE, COLUMNS * SIDE)).save(folder / SAMPLES)
    facts = {
        "side": SIDE,
        "columns": COLUMNS,
        "labels": [names[label] for label in labels[: len(shown)]],
    }
    (folder / SAMPLE_LABELS).write_text(json.dumps(facts) + "\n")
    Image.fromarray(pixels[0]).save(folder / SAMPLE)


def write_golden(
    folder: Path, pixels: Pixels, labels: NDArray[np.uint8], reference: Answers
) -> None:
    """The first pictures of each class in turn, with the logits of `reference`."""
    by_class = (np.flatnonzero(labels == label) for label in np.unique(labels))
    in_turn = chain.from_iterable(zip_longest(*by_class))
    chosen = [index for index in in_turn if index is not None][:GOLDEN_PICTURES]
    with (folder / GOLDEN).open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, pixels=pixels[chosen], logits=reference.logits[chosen]
        )
