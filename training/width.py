"""The width of a digit's strokes brought near MNIST's, as service/stroke.py does it with OpenCV.

    digit (h, w) --enlarge to 80, widen or narrow--> digit (h', w')

In NumPy alone. Widths are in pixels of the sheet, on which the digit is 20 long.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.float64]  # (h, w), 0 = paper, 255 = ink
Resized = Callable[[Ink, int], Ink]  # so that its longest side is as long as that

BOX, FINE = 20, 4  # pixels of the digit's longest side, fine pixels for each
THINNEST, WIDEST = 2.3, 4.2  # what thinner and wider strokes are brought to; of MNIST's 90 % are
MARGIN = 8  # fine pixels around the digit, into which it may grow


def as_wide(digit: Ink, resized: Resized) -> Ink:
    """The digit, 20 pixels long, with strokes of between THINNEST and WIDEST."""
    fine = resized(digit, BOX * FINE)
    width = stroke_width(fine) / FINE
    wanted = min(max(width, THINNEST), WIDEST)
    grow = round(FINE * (wanted - width) / (2 - wanted / (BOX / 2)))
    return resized(_grown(fine, grow) if grow else digit, BOX)


def stroke_width(ink: Ink) -> float:
    """In pixels: in a bar, the mean distance to its nearest edge is a quarter of its width."""
    inside = np.pad(ink > 127, 1)
    return 4 * float(_distance(inside)[inside].mean()) if inside.any() else 0.0


def _distance(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """From each pixel to the nearest outside, first along columns, then along rows."""
    far = float(sum(inside.shape))
    squared = np.where(inside, far**2, 0.0)
    for _ in range(2):
        places = np.arange(len(squared))
        steps = (places[:, None] - places[None]) ** 2  # (h, h)
        squared = (squared[None] + steps[:, :, None]).min(1).T  # (w, h), then (h, w) again
    return np.sqrt(squared)


def _grown(ink: Ink, grow: int) -> Ink:
    """Wider by `grow` pixels on every side, or narrower where that is negative; cut to its box."""
    reach = abs(grow)
    sharp = np.clip((ink - 64) * 2, 0, 255)
    sheet = np.pad(sharp, MARGIN + 2 * reach)
    moves = [
        np.roll(sheet, (y, x), (0, 1))
        for y in range(-reach, reach + 1)
        for x in range(-reach, reach + 1)
        if x * x + y * y <= reach * reach + reach // 2
    ]
    changed: NDArray[Any] = np.max(moves, 0) if grow > 0 else np.min(moves, 0)
    rows, columns = (np.flatnonzero((changed > 48).any(axis)) for axis in (1, 0))
    if not rows.size:  # nothing is left of it
        return ink
    return changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
