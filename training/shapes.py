"""Draws scribbles, lines, dots, blobs and textures: ink (h, w) uint8, 0 = paper, 255 = ink."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

Ink = NDArray[np.uint8]  # (h, w), 0 = paper, 255 = ink
Curve = NDArray[np.float64]  # (p, 2), x and y in the unit square
Draw = Callable[[np.random.Generator], Ink]

SIDE = 72  # pixels of a sheet
MARGIN = 8  # pixels of paper around lines
PENS = 3, 11  # pixels, thinnest and one more than the widest
MIDDLE = SIDE // 2, SIDE // 2
SMOOTH = 12  # points of a curve between two of those that it is given by


def scribble(random: np.random.Generator) -> Ink:
    """One to four strokes through random points."""
    strokes = int(random.integers(1, 5))
    fewest = 6 if strokes == 1 else 3  # points: one short stroke may look like a digit
    counts = random.integers(fewest, 13, strokes)
    return drawn([curve_through(random.uniform(0, 1, (count, 2))) for count in counts], random)


def wave(random: np.random.Generator) -> Ink:
    """A wave or hatching, in any direction."""
    along = np.linspace(0, 1, 160)
    across = np.sin(2 * np.pi * random.uniform(2.5, 7) * along) * random.uniform(0.15, 0.5)
    return _turned(drawn([np.stack([along, 0.5 + across], 1)], random), random)


def spiral(random: np.random.Generator) -> Ink:
    along = np.linspace(0.1, 1, 160)
    angle = 2 * np.pi * (random.uniform(2.5, 6) * along + random.random())
    axes = random.uniform(0.4, 1, 2) / 2
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * along[:, None] * axes
    return _turned(drawn([0.5 + points], random), random)


def line(random: np.random.Generator) -> Ink:
    """One straight line, flatter than those that are read as 1."""
    angle = np.deg2rad(random.uniform(-40, 40))
    ends = 0.5 + np.array([[-0.5], [0.5]]) * [np.cos(angle), np.sin(angle)]
    return drawn([ends], random)


def lines(random: np.random.Generator) -> Ink:
    """Two that cross at right angles, or three to seven anywhere."""
    if random.random() < 0.5:
        cross = [np.array([[0, 0.5], [1, 0.5]]), np.array([[0.5, 0], [0.5, 1]])]
        return _turned(drawn(cross, random), random)
    return drawn(list(random.uniform(0, 1, (int(random.integers(3, 8)), 2, 2))), random)


def polygon(random: np.random.Generator) -> Ink:
    """The outline of a triangle, square or pentagon."""
    corners = int(random.integers(3, 6))
    angles = np.arange(corners + 1) / corners * 2 * np.pi
    outline = 0.5 + np.stack([np.cos(angles), np.sin(angles)], 1) / 2
    return _turned(drawn([outline], random), random)


def dots(random: np.random.Generator) -> Ink:
    """One to six filled circles."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(int(random.integers(1, 7))):
        x, y = random.integers(MARGIN, SIDE - MARGIN, 2).tolist()
        cv2.circle(ink, (x, y), int(random.integers(3, 14)), 255, -1, cv2.LINE_AA)
    return ink


def blob(random: np.random.Generator) -> Ink:
    """A filled shape with up to five arms, evenly or unevenly dark."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(int(random.integers(1, 4))):
        middle = random.integers(SIDE // 4, 3 * SIDE // 4, 2).tolist()
        _ellipse(ink, middle, random.integers(SIDE // 9, SIDE // 2, 2).tolist(), random)
    for _ in range(int(random.integers(0, 6))):
        end = random.integers(0, SIDE, 2).tolist()
        cv2.line(ink, MIDDLE, end, 255, int(random.integers(4, 14)), cv2.LINE_AA)
    if random.random() < 0.3:
        corners = random.integers(0, SIDE, (int(random.integers(3, 7)), 2)).astype(np.int32)
        cv2.fillPoly(ink, [corners], 255, cv2.LINE_AA)
    if random.random() < 0.5:
        shade = np.clip(0.3 + _clouds(random, int(random.integers(2, 8))), 0, 1)
        ink = (ink * shade).astype(np.uint8)
    return ink


def texture(random: np.random.Generator) -> Ink:
    """Stripes, a checkerboard, clouds or noise, in the whole sheet or in an ellipse."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    angle = random.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    match int(random.integers(4)):
        case 0:
            level = 0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(1.5, 9) * along)
        case 1:
            cells = random.uniform(2, 8)
            level = (np.floor(along * cells) + np.floor(across * cells)) % 2
        case 2:
            level = _clouds(random, int(random.integers(3, 16)))
        case _:
            level = random.random((SIDE, SIDE)) * random.uniform(0.3, 1)
    if random.random() < 0.5:
        level = level > random.uniform(0.3, 0.7)
    ink: Ink = (np.clip(level, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.3:
        inside = np.zeros_like(ink)
        _ellipse(inside, MIDDLE, random.integers(SIDE // 6, SIDE // 2, 2).tolist(), random)
        ink = np.minimum(ink, inside)
    return ink


# Each of these is drawn equally often.
SHAPES: tuple[Draw, ...] = (
    scribble, scribble, wave, spiral, line, lines, polygon, dots, blob, blob, blob,
    texture, texture, texture,
)  # fmt: skip


def curve_through(points: Curve) -> Curve:
    """A smooth curve through points (k, 2); a straight line through two."""
    spline = make_interp_spline(np.arange(len(points)), points, min(3, len(points) - 1))
    curve: Curve = spline(np.linspace(0, len(points) - 1, SMOOTH * len(points)))
    return curve


def drawn(curves: list[Curve], random: np.random.Generator) -> Ink:
    """The ink of a pen of random width that follows the curves."""
    ink = np.zeros((SIDE + 2 * MARGIN,) * 2, np.uint8)
    points = [np.round(MARGIN + curve * SIDE).astype(np.int32) for curve in curves]
    cv2.polylines(ink, points, False, 255, int(random.integers(*PENS)), cv2.LINE_AA)
    return ink


def _turned(ink: Ink, random: np.random.Generator) -> Ink:
    """Turned by any angle."""
    margin = len(ink) // 4
    sheet: Ink = np.pad(ink, margin)
    middle = (len(sheet) - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), random.uniform(0, 360), 1)
    return np.asarray(cv2.warpAffine(sheet, matrix, (len(sheet), len(sheet))), np.uint8)


def _ellipse(
    ink: Ink, middle: tuple[int, int], axes: tuple[int, int], random: np.random.Generator
) -> None:
    cv2.ellipse(ink, middle, axes, random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)


def _clouds(random: np.random.Generator, cells: int) -> NDArray[np.float32]:
    """Smooth noise (SIDE, SIDE), about 0 to 1, with that many cells along a side."""
    coarse = random.random((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.float32)
