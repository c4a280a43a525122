"""Images that are published with a version, all from its test set.

    sample.png                 the first image, to try the service with: it is prepared to the same
                               pixels, so that a photo's has a margin
    samples.png, samples.json  a sheet of up to 100 images, row by row, and their labels
    mistakes.png, .json        a sheet of up to 100 misclassified images, the most confident first,
                               with the predictions; only if there are any
    changed.png, changed.json  a sheet of up to 100 images that either this version or the one that
                               was current before it misclassifies, but not both, with the
                               predictions of the two; only if there are any
    golden.npz                 up to 64 images with PyTorch's logits, which the service reproduces

The golden images alternate between the classes, so that as many as possible are represented. The
other images have the size of the network's input; there are fewer of large ones.
"""

import json
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.card import (
    CHANGED,
    CHANGED_FACTS,
    GOLDEN,
    MISTAKE_FACTS,
    MISTAKES,
    SAMPLE,
    SAMPLE_LABELS,
    SAMPLES,
    SIDE,
)
from export.proof import Predictions
from export.runners import Labels, Pixels
from preprocessing.encoding import png_of
from preprocessing.preparation import Preparer

COLUMNS, MOST = 10, 100  # images in a row and on a sheet
SHEET_BYTES = 4 * 2**20  # of a sheet's pixels
GOLDEN_IMAGES, GOLDEN_BYTES = 64, 15 * 2**20  # the service reads files of up to 16 MiB


def write_samples(
    folder: Path, pixels: Pixels, labels: Labels, names: tuple[str, ...], prepare: Preparer
) -> None:
    """`names` are the names of the classes, `labels` (n,) are indices of them."""
    shown = np.arange(min(_most(pixels), len(pixels)))
    _write_sheet(folder / SAMPLES, pixels[shown])
    _write_facts(folder / SAMPLE_LABELS, pixels, labels=_named(labels[shown], names))
    write_sample(folder, pixels[0], prepare)


def write_sample(folder: Path, pixels: Pixels, prepare: Preparer) -> None:
    """sample.png of the pixels of one image."""
    (folder / SAMPLE).write_bytes(png_of(prepare.with_margin(pixels)))


def write_mistakes(
    folder: Path,
    pixels: Pixels,
    labels: Labels,
    names: tuple[str, ...],
    reference: Predictions,
) -> None:
    """Write the misclassified images of `reference`; no files if there are none."""
    wrong = np.flatnonzero(reference.classes != labels)
    confidences = reference.probabilities.max(1)  # (n,)
    shown = wrong[np.argsort(-confidences[wrong], kind="stable")][: _most(pixels)]
    if len(shown) == 0:
        return
    _write_sheet(folder / MISTAKES, pixels[shown])
    _write_facts(
        folder / MISTAKE_FACTS,
        pixels,
        labels=_named(labels[shown], names),
        answers=_named(reference.classes[shown], names),
        confidences=confidences[shown].tolist(),
    )


def write_changed(
    folder: Path,
    pixels: Pixels,
    labels: Labels,
    names: tuple[str, ...],
    candidate: Predictions,
    current: Predictions,
) -> None:
    """Write the images that only one of two versions classifies correctly.

    Those that the current version does are first. No files are written if there are none.
    """
    right, right_before = candidate.classes == labels, current.classes == labels
    lost, gained = np.flatnonzero(right_before & ~right), np.flatnonzero(right & ~right_before)
    most = _most(pixels)
    shown = np.concatenate([lost[: max(most // 2, most - len(gained))], gained])[:most]
    if len(shown) == 0:
        return
    _write_sheet(folder / CHANGED, pixels[shown])
    _write_facts(
        folder / CHANGED_FACTS,
        pixels,
        labels=_named(labels[shown], names),
        candidate=_named(candidate.classes[shown], names),
        current=_named(current.classes[shown], names),
    )


def write_golden(folder: Path, pixels: Pixels, labels: Labels, reference: Predictions) -> None:
    """The first images of each class in turn, with the logits of `reference`."""
    by_class = (np.flatnonzero(labels == label) for label in np.unique(labels))
    in_turn = chain.from_iterable(zip_longest(*by_class))
    most = min(GOLDEN_IMAGES, max(1, GOLDEN_BYTES // pixels[0].nbytes))
    chosen = [index for index in in_turn if index is not None][:most]
    with (folder / GOLDEN).open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, pixels=pixels[chosen], logits=reference.logits[chosen]
        )


def _write_sheet(path: Path, images: Pixels) -> None:
    """Row by row. The rest of an incomplete last row is black."""
    rows, (height, width, *colours) = -(-len(images) // COLUMNS), images.shape[1:]
    cells = np.zeros((rows * COLUMNS, *images.shape[1:]), np.uint8)
    cells[: len(images)] = images
    sheet = cells.reshape(rows, COLUMNS, *images.shape[1:]).swapaxes(1, 2)  # rows, h, columns, w
    Image.fromarray(sheet.reshape(rows * height, COLUMNS * width, *colours)).save(path)


def _write_facts(path: Path, pixels: Pixels, **of_each: list[str] | list[float]) -> None:
    """`pixels` have the shape of the cells."""
    height, width, channels = *pixels.shape[1:3], 3 if pixels.ndim == 4 else 1
    side = {"side": SIDE} if pixels.shape[1:] == (SIDE, SIDE) else {}  # of digits, for old readers
    size = {"height": height, "width": width, "channels": channels}
    facts = {**side, **size, "columns": COLUMNS, **of_each}
    path.write_text(json.dumps(facts) + "\n")


def _most(pixels: Pixels) -> int:
    """Images on a sheet."""
    return min(MOST, max(1, SHEET_BYTES // int(pixels[0].nbytes)))


def _named(classes: NDArray[np.integer[Any]], names: tuple[str, ...]) -> list[str]:
    return [names[each] for each in classes]
