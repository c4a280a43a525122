"""Reads images from a table of pixels, as Kaggle's train.csv is.

    label,pixel0,pixel1,...,pixel783      the first line: the side is the root of the number
    5,0,0,...,0                           one line for each gray image, row by row, 0 to 255

Labels are whole numbers. Those that occur are the classes.
"""

import csv
import warnings
from collections.abc import Iterator
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.idx import BadData, Bytes
from training.listing import Labels, label_type

LABEL, PIXEL = "label", "pixel"  # names of columns


def has_labels(path: Path) -> bool:
    """Whether there is a column of labels, as Kaggle's test.csv has none."""
    return LABEL in _header(path)


def read_table(path: Path) -> tuple[tuple[str, ...], Bytes, Labels]:
    """Names of the classes, pixels (n, h, w) and labels (n,).

    BadData names the column that is missing or the line that is wrong.
    """
    header = _header(path)
    label, pixels = _columns(path, header)
    try:
        with warnings.catch_warnings(action="ignore"):  # about a file without lines
            rows = np.loadtxt(
                path, np.uint16, comments=None, delimiter=",", skiprows=1, quotechar='"', ndmin=2,
                encoding="utf-8-sig",
            )  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise BadData(_fault(path, header) or f"{path} cannot be read: {error}") from error
    if rows.size == 0:
        raise BadData(f"{path} has no images: there is no line after the names of its columns")
    if rows.shape[1] != len(header) or rows[:, pixels].max() > 255:
        raise BadData(_fault(path, header) or f"{path} has pixels beyond 255")
    classes, labels = np.unique(rows[:, label], return_inverse=True)
    side = isqrt(len(pixels))
    images = rows[:, pixels].astype(np.uint8).reshape(-1, side, side)
    return tuple(map(str, classes)), images, labels.astype(label_type(len(classes)))


def _header(path: Path) -> list[str]:
    return next(_lines(path), [])


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.reader(file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadData(
            f"{path} is not a text of values with commas between them: {error}"
        ) from error


def _columns(path: Path, header: list[str]) -> tuple[int, NDArray[np.intp]]:
    """The places of the label and of the pixels in their order, a square number of them."""
    places = {name.strip(): place for place, name in enumerate(header)}
    numbers = sorted(
        int(name.removeprefix(PIXEL))
        for name in places
        if name.startswith(PIXEL) and name.removeprefix(PIXEL).isdecimal()
    )
    if LABEL not in places or not numbers:
        raise BadData(
            f"{path} must begin with the names of its columns, {LABEL},{PIXEL}0,{PIXEL}1,...: it "
            f"has no column {LABEL if LABEL not in places else f'{PIXEL}0'}"
        )
    expected = range(numbers[0], numbers[-1] + 1)
    absent = sorted(set(expected) - set(numbers))
    if absent:
        raise BadData(f"{path} has no column {PIXEL}{absent[0]}")
    if isqrt(len(numbers)) ** 2 != len(numbers):
        raise BadData(
            f"{path} has {len(numbers)} columns of pixels, {PIXEL}{numbers[0]} to "
            f"{PIXEL}{numbers[-1]}: that is not the square of a side, so some are missing"
        )
    return places[LABEL], np.array([places[f"{PIXEL}{number}"] for number in numbers])


def _fault(path: Path, header: list[str]) -> str | None:
    """The first wrong line, in a sentence."""
    for number, line in enumerate(_lines(path), 1):
        if number == 1 or not line:
            continue
        if len(line) != len(header):
            return f"{path}: line {number} has {len(line)} values, not {len(header)}"
        for name, value in zip(header, line, strict=True):
            most = 2**16 - 1 if name == LABEL else 255
            if not (value.strip().isdecimal() and int(value) <= most):
                hint = ": number the classes, or use a folder of images for each" * (name == LABEL)
                return (
                    f"{path}: line {number} has {value!r} in column {name}, which must be a whole "
                    f"number from 0 to {most}{hint}"
                )
    return None
