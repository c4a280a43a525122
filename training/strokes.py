"""Draws with a simulated pen: skeletons that are bent and inked differently each time.

    skeleton, points in a box --jitter--> smooth curves --turn, slant--> --pen--> ink (h, w)
                              --preprocessing.digits--> (28, 28) uint8, 0 = paper, 255 = ink

The pens are round or have a broad nib, and the sheets are fine or coarse, as those of small
canvases and of bitmaps whose strokes have no gray edges. The width of the strokes and the place of
the ink are those that the service would give it.
"""

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocessing.digits.normalize import center
from preprocessing.digits.stroke import normalize_stroke

SMOOTH = 12  # points of the curve between two points of a skeleton
SHARP = 4  # fractions of a pixel that OpenCV draws in: 2**4
COARSE = 0.15  # share of the sheets that are as small as MNIST's, and have no gray levels

Curve = NDArray[np.float64]  # (p, 2)


def drawn_by_one_hand(skeleton: str, count: int, seed: int) -> NDArray[np.uint8]:
    """Images (count, 28, 28) of one skeleton, in the notation of `hands.HANDS`."""
    random = np.random.default_rng(seed)
    return np.stack([drawn(skeleton, random) for _ in range(count)])


def drawn(skeleton: str, random: np.random.Generator) -> NDArray[np.uint8]:
    """The skeleton as an image (28, 28), prepared as the service prepares images of digits."""
    curves = _bent([_curve(stroke, random) for stroke in _strokes(skeleton)], random)
    coarse = random.random() < COARSE
    length = random.uniform(18, 26) if coarse else random.uniform(40, 110)  # pixels
    pen = max(1.0, length * random.uniform(0.03, 0.14))
    ink = _inked(curves, length, pen, random, soft=not coarse)
    left, top, width, height = cv2.boundingRect(ink)
    return center(normalize_stroke(ink[top : top + height, left : left + width]))


@cache
def _strokes(skeleton: str) -> tuple[Curve, ...]:
    """ "50,0 15,20 / 30,50 85,48" as arrays (k, 2), 0..1."""
    return tuple(
        np.array([point.split(",") for point in stroke.split()], np.float64) / 100
        for stroke in skeleton.split("/")
    )


def _curve(stroke: Curve, random: np.random.Generator) -> Curve:
    """A Catmull-Rom curve (p, 2) through a stroke's points (k, 2), each randomly moved a little."""
    knots = stroke + random.normal(0, random.uniform(0.015, 0.055), stroke.shape)
    knots = np.concatenate([knots[:1], knots, knots[-1:]])
    parts = np.stack([knots[i : len(knots) - 3 + i] for i in range(4)], 1)  # (k - 1, 4, 2)
    return (_CATMULL_ROM @ parts).reshape(-1, 2)


def _bent(curves: list[Curve], random: np.random.Generator) -> list[Curve]:
    """Narrowed, slanted and turned, in a box from 0 whose longer side is 1."""
    angle, slant = math.radians(random.normal(0, 8)), random.normal(0.05, 0.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shape = turn @ np.array([[1, -slant], [0, 1]]) @ np.diag([random.uniform(0.45, 1.0), 1.0])
    curves = [curve @ shape.T for curve in curves]
    points = np.concatenate(curves)
    low = points.min(0)
    size = float((points.max(0) - low).max())
    return [(curve - low) / size for curve in curves]


def _inked(
    curves: list[Curve], length: float, pen: float, random: np.random.Generator, *, soft: bool
) -> NDArray[np.uint8]:
    """The ink of a pen `pen` pixels wide along curves in a box of 0..1, `length` pixels long."""
    nib = np.zeros((1, 2))
    if random.random() < 0.3:  # broad: several thin lines side by side
        angle = random.uniform(0, math.pi)
        across = np.array([[math.cos(angle), math.sin(angle)]])
        nib = np.linspace(-0.5, 0.5, 7)[:, None] * across * pen * random.uniform(0.5, 1.2)
        pen = max(1.0, pen / 2)
    margin = 2 * pen + 2
    sheet = np.zeros((round(length + 2 * margin),) * 2, np.uint8)
    lines = [
        np.round((curve * length + margin + offset) * 2**SHARP).astype(np.int32)
        for curve in curves for offset in nib
    ]  # fmt: skip
    kind = cv2.LINE_AA if soft else cv2.LINE_8
    inked: Any = cv2.polylines(sheet, lines, False, 255, max(1, round(pen)), kind, SHARP)
    return np.asarray(inked, np.uint8)


_T = np.linspace(0, 1, SMOOTH)[:, None]
# From four knots (4, 2) to the points between the middle ones (SMOOTH, 2).
_CATMULL_ROM = 0.5 * np.concatenate(
    [
        -_T + 2 * _T**2 - _T**3,
        2 - 5 * _T**2 + 3 * _T**3,
        _T + 4 * _T**2 - 3 * _T**3,
        -(_T**2) + _T**3,
    ],
    1,
)
