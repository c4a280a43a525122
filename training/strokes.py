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
    curves = _bent([_curve(stroke) for stroke in _moved(skeleton, random)], random)
    coarse = random.random() < COARSE
    length = random.uniform(18, 26) if coarse else random.uniform(40, 110)  # pixels
    pen = max(1.0, length * random.uniform(0.05, 0.21))
    ink = _inked(curves, length, pen, random, soft=not coarse)
    left, top, width, height = cv2.boundingRect(ink)
    return center(normalize_stroke(ink[top : top + height, left : left + width]))


def _moved(skeleton: str, random: np.random.Generator) -> list[Curve]:
    """The strokes (k, 2), 0..1, with each point randomly moved; strokes that meet still do."""
    strokes, points, places = _parsed(skeleton)
    moved = points + random.normal(0, random.uniform(0.02, 0.065), points.shape)
    return np.split(moved[places], strokes)


@cache
def _parsed(skeleton: str) -> tuple[NDArray[np.intp], Curve, NDArray[np.intp]]:
    """Of "50,0 15,20 / 15,20 85,48": where strokes begin, the different points, and which of them
    the strokes have."""
    strokes = [stroke.split() for stroke in skeleton.split("/")]
    words = [point.split(",") for stroke in strokes for point in stroke]
    points, places = np.unique(np.array(words, np.float64) / 100, axis=0, return_inverse=True)
    return (
        np.cumsum([len(stroke) for stroke in strokes[:-1]], dtype=np.intp),
        points,
        places.reshape(-1),
    )


def _curve(knots: Curve) -> Curve:
    """A Catmull-Rom curve (p, 2) through the points of a stroke (k, 2)."""
    knots = np.concatenate([knots[:1], knots, knots[-1:]])
    parts = np.stack([knots[i : len(knots) - 3 + i] for i in range(4)], 1)  # (k - 1, 4, 2)
    return np.asarray((_CATMULL_ROM @ parts).reshape(-1, 2))


def _bent(curves: list[Curve], random: np.random.Generator) -> list[Curve]:
    """Swayed, narrowed, slanted and turned, in a box from 0 whose longer side is 1."""
    angle, slant = math.radians(random.normal(0, 8)), random.normal(0.1, 0.18)
    width = math.exp(random.uniform(math.log(0.45), math.log(1.2)))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shape = turn @ np.array([[1, -slant], [0, 1]]) @ np.diag([width, 1.0])
    sway, phase = random.normal(0, 0.05, 2), random.uniform(0, math.tau, 2)
    curves = [curve + sway * np.sin(3 * curve[:, ::-1] + phase) for curve in curves]
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
