"""Images that are published with a version, all from its test set.

    sample.png                 the first image, to try the service with
    samples.png, samples.json  a sheet of 100 images, row by row, and their labels
    mistakes.png, .json        a sheet of up to 100 misclassified images, the most confident first,
                               with the predictions; only if there are any
    golden.npz                 64 images with PyTorch's logits, which the service reproduces

The golden images alternate between the classes, so that every class is represented.
"""

import json
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.card import GOLDEN, MISTAKE_FACTS, MISTAKES, SAMPLE, SAMPLE_LABELS, SAMPLES, SIDE
from export.proof import Predictions
from export.runners import Pixels

COLUMNS, MOST = 10, 100  # images in a row and on a sheet
GOLDEN_IMAGES = 64


def write_samples(
    folder: Path, pixels: Pixels, labels: NDArray[np.uint8], names: tuple[str, ...]
) -> None:
    """`names` are the names of the classes, `labels` (n,) are indices of them."""
    shown = np.arange(min(MOST, len(pixels)))
    _write_sheet(folder / SAMPLES, pixels[shown])
    _write_facts(folder / SAMPLE_LABELS, labels=_named(labels[shown], names))
    Image.fromarray(pixels[0]).save(folder / SAMPLE)


def write_mistakes(
    folder: Path,
    pixels: Pixels,
    labels: NDArray[np.uint8],
    names: tuple[str, ...],
    reference: Predictions,
) -> None:
    """Write the misclassified images of `reference`; no files if there are none."""
    wrong = np.flatnonzero(reference.classes != labels)
    confidences = reference.probabilities.max(1)  # (n,)
    shown = wrong[np.argsort(-confidences[wrong], kind="stable")][:MOST]
    if len(shown) == 0:
        return
    _write_sheet(folder / MISTAKES, pixels[shown])
    _write_facts(
        folder / MISTAKE_FACTS,
        labels=_named(labels[shown], names),
        answers=_named(reference.classes[shown], names),
        confidences=confidences[shown].tolist(),
    )


def write_golden(
    folder: Path, pixels: Pixels, labels: NDArray[np.uint8], reference: Predictions
) -> None:
    """The first images of each class in turn, with the logits of `reference`."""
    by_class = (np.flatnonzero(labels == label) for label in np.unique(labels))
    in_turn = chain.from_iterable(zip_longest(*by_class))
    chosen = [index for index in in_turn if index is not None][:GOLDEN_IMAGES]
    with (folder / GOLDEN).open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, pixels=pixels[chosen], logits=reference.logits[chosen]
        )


def _write_sheet(path: Path, images: Pixels) -> None:
    """Row by row. The rest of an incomplete last row is black."""
    rows = -(-len(images) // COLUMNS)
    cells = np.zeros((rows * COLUMNS, SIDE, SIDE), np.uint8)
    cells[: len(images)] = images
    sheet = cells.reshape(rows, COLUMNS, SIDE, SIDE).swapaxes(1, 2)  # rows, SIDE, columns, SIDE
    Image.fromarray(sheet.reshape(rows * SIDE, COLUMNS * SIDE)).save(path)


def _write_facts(path: Path, **of_each: list[str] | list[float]) -> None:
    facts = {"side": SIDE, "columns": COLUMNS, **of_each}
    path.write_text(json.dumps(facts) + "\n")


def _named(classes: NDArray[np.integer[Any]], names: tuple[str, ...]) -> list[str]:
    return [names[each] for each in classes]
