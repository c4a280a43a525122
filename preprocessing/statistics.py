"""Numbers that describe prepared images, to compare those of requests with those of the test set.

    pixels (n, h, w) or (n, h, w, 3) uint8 --statistics_of--> a value (n,) of each quantity
    values (n,), edges of bins             --counts_by_bin--> images in each bin

    digits        ink_share     mean level, 0 = paper, 1 = ink
                  stroke_width  pixels
    other images  brightness    mean gray level, 0 = black, 1 = white
                  contrast      standard deviation of the gray levels, 0 to 0.5
                  colour        mean difference of a pixel's largest and smallest channel, 0 to 1

A digit takes 0.5 us in a batch of 64, on one core of an Intel Xeon; a photograph of 224 x 224 RGB
pixels takes 70 us, of which only every third row and column counts.
"""

from collections.abc import Sequence
from math import pi
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.card import Preparation

Pixels = NDArray[np.uint8]  # (n, h, w) or (n, h, w, 3)
Values = NDArray[np.float32]  # (n,)

COUNTED_SIDE = 64  # rows or columns of an image that suffice for its statistics


def thinned(pixels: Pixels) -> Pixels:
    """Every k-th row and column of large images: the pixels that count for their statistics."""
    step = max(1, min(pixels.shape[1:3]) // COUNTED_SIDE)
    return pixels[:, ::step, ::step]


def statistics_of(pixels: Pixels, preparation: Preparation) -> dict[str, Values]:
    """The value of each quantity, by its name, for images that were prepared in that way."""
    if preparation.kind == "digit":
        return _of_digits(pixels)
    return _of_photos(np.ascontiguousarray(thinned(pixels)))


def counts_by_bin(values: NDArray[Any], edges: Sequence[float]) -> list[int]:
    """How many values (n,) are in each bin of a `contract.card.Histogram` with these edges."""
    counts: list[int] = np.bincount(
        np.searchsorted(edges, values), minlength=len(edges) + 1
    ).tolist()
    return counts


def _of_digits(pixels: Pixels) -> dict[str, Values]:
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)  # (n, h * w)
    ink = _sums(rows)
    # The width of a stroke is twice its area divided by the length of its outline. Over outlines
    # of all directions, the differences between neighbours add up to 4 / pi times that length.
    across = _sums(cv2.absdiff(rows[:, 1:], rows[:, :-1]))
    down = _sums(cv2.absdiff(rows[:, pixels.shape[2] :], rows[:, : -pixels.shape[2]]))
    width = 8 / pi * ink / np.maximum(across + down, 1)
    return {"ink_share": ink / (255 * rows.shape[1]), "stroke_width": width.astype(np.float32)}


def _of_photos(pixels: Pixels) -> dict[str, Values]:
    images, height, width = pixels.shape[:3]
    colours: dict[str, Values] = {}
    if pixels.ndim == 4:
        stacked = pixels.reshape(images * height, width, 3)
        red, green, blue = cv2.split(stacked)
        difference: Any = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
        colours["colour"] = _sums(difference.reshape(images, -1)) / (255 * height * width)
        pixels = np.asarray(cv2.cvtColor(stacked, cv2.COLOR_RGB2GRAY), np.uint8)
    levels = pixels.reshape(images, -1).astype(np.float32) / 255  # (n, h * w)
    return {"brightness": levels.mean(1), "contrast": levels.std(1), **colours}


def _sums(rows: Any) -> Values:
    """Of each row (n, k) uint8; several times as fast as NumPy's."""
    return np.asarray(cv2.reduce(rows, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F), np.float32)[:, 0]
