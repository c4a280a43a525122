"""MNIST's shapes as lines, and lines as what a pen leaves of them.

    digit (28, 28) --enlarge, smooth, peel--> Lines --slant, wobble, place--> coverage (h, w) 0..1

A pen knows nothing of the width that MNIST's had: only where the middle of its stroke went.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FINE = 4  # pixels for each of MNIST's, where a shape is peeled
SMOOTH = 1.4  # fine pixels, standard deviation: no hairs grow from a smooth edge
MEMORY = 3  # rounds of averaging with one's neighbours, which take the steps out of lines
SHARP = 4  # fractions of a pixel that OpenCV draws in: 2**4
_FORWARD = [(0, 1), (1, -1), (1, 0), (1, 1)]  # to half of the neighbours: each pair once

Shape = NDArray[np.bool_]  # (h, w)
# The neighbours p2 ... p9 of Zhang and Suen: from the one above, clockwise. Down, right.
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


@dataclass(frozen=True)
class Lines:
    """Points, and which of them are joined; the larger of width and height is 1."""

    points: NDArray[np.float64]  # (n, 2) x and y, from 0
    pairs: NDArray[np.intp]  # (m, 2)

    @classmethod
    def of(cls, digit: NDArray[np.uint8]) -> "Lines":
        """The middle lines of a shape (28, 28), 255 = ink."""
        fine: Any = cv2.resize(digit, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
        skeleton = thinned(cv2.GaussianBlur(fine, (0, 0), SMOOTH) > 115)
        rows, columns = np.nonzero(skeleton)
        number = np.full(np.add(skeleton.shape, 2), -1)
        number[rows + 1, columns + 1] = np.arange(len(rows))
        joined = [
            np.stack([np.arange(len(rows)), number[rows + 1 + down, columns + 1 + right]], 1)
            for down, right in _FORWARD
        ]
        pairs = np.concatenate(joined)
        lines = cls(np.stack([columns, rows], 1).astype(float), pairs[pairs[:, 1] >= 0])
        return lines._smoothed()._boxed()

    @property
    def size(self) -> NDArray[np.float64]:
        """Width and height."""
        size: NDArray[np.float64] = self.points.max(0)
        return size

    def leaning(self, slant: float, stretch: float) -> "Lines":
        """Slanted by a share of the height, and made wider by a factor."""
        x, y = self.points.T
        return replace(self, points=np.stack([(x - slant * y) * stretch, y], 1))._boxed()

    def wobbling(self, generator: np.random.Generator, distance: float) -> "Lines":
        """Every place moved by up to about `distance`, near places alike: a hand that shakes."""
        field = generator.normal(0, distance, (9, 9, 2)).astype(np.float32)
        moves: Any = cv2.resize(field, (101, 101), interpolation=cv2.INTER_CUBIC)
        x, y = np.clip(np.round(self.points * 100), 0, 100).astype(int).T
        return replace(self, points=self.points + moves[y, x])._boxed()

    def in_steps(self, step: float) -> "Lines":
        """Every point on a grid, as slow mice report it."""
        return replace(self, points=np.round(self.points / step) * step)._boxed()

    def coverage(
        self, shape: tuple[int, int], at: NDArray[np.float64], length: float, width: float
    ) -> NDArray[np.float32]:
        """What a round pen covers of each pixel of a sheet (h, w); lengths in pixels."""
        times = max(1, min(16, round(320 / max(shape))), round(3 / width))
        if max(shape) * times > 3000:
            times = 1
        sheet = np.zeros((shape[0] * times, shape[1] * times), np.uint8)
        points = ((self.points * length + at) * times - 0.5) * 2**SHARP
        ends = np.round(points).astype(int)[self.pairs]  # (m, 2, 2)
        pen = max(1, round(width * times))
        for begin, end in ends.tolist():
            cv2.line(sheet, begin, end, 255, pen, cv2.LINE_AA, SHARP)
        small: Any = cv2.resize(sheet, shape[::-1], interpolation=cv2.INTER_AREA)
        covered: NDArray[np.float32] = small.astype(np.float32) / 255
        return covered

    def _smoothed(self) -> "Lines":
        points = self.points
        first, second = self.pairs.T
        for _ in range(MEMORY):
            total, count = points.copy(), np.ones((len(points), 1))
            for one, other in ((first, second), (second, first)):
                np.add.at(total, one, points[other])
                np.add.at(count, one, 1)
            ends = count[:, 0] == 2  # stay where they are: no line is shortened
            points = np.where(ends[:, None], points, total / count)
        return replace(self, points=points)

    def _boxed(self) -> "Lines":
        points = self.points - self.points.min(0)
        return replace(self, points=points / max(float(points.max()), 1e-9))


def thinned(shape: Shape) -> Shape:
    """What is left of a shape when it is peeled to lines one pixel wide (Zhang and Suen, 1984).

    Both sides are peeled in turn until nothing changes; all pixels are compared with their eight
    neighbours at once.
    """
    skeleton = np.pad(shape, 1)
    while True:
        before = skeleton.sum()
        for first in (True, False):
            skeleton &= ~_peel(skeleton, first)
        if skeleton.sum() == before:
            return skeleton[1:-1, 1:-1]


def _peel(shape: Shape, first: bool) -> Shape:
    """Pixels on the south-east side (first) or the north-west side that hold nothing together."""
    around = np.stack([np.roll(shape, (-down, -right), (0, 1)) for down, right in AROUND])  # 8 h w
    up, right, down, left = around[0], around[2], around[4], around[6]
    beginnings = (~around & np.roll(around, -1, 0)).sum(0)  # 1: the neighbours are in one piece
    many = around.sum(0)
    if first:
        side = ~(up & right & down) & ~(right & down & left)
    else:
        side = ~(up & right & left) & ~(up & down & left)
    peeled: Shape = shape & (beginnings == 1) & (many >= 2) & (many <= 6) & side
    return peeled
