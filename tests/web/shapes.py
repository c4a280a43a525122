"""The ten digits as strokes of a pen in a square with sides of length 1.

A stroke is the list of points that a pen passes, (x, y), y down, made of lines and arcs; the
degrees of an arc start at its right and increase clockwise.
"""

from itertools import pairwise
from math import cos, radians, sin

Point = tuple[float, float]
Stroke = list[Point]

STEP = 20  # degrees between two points of an arc
PARTS = 4  # length between two points of a line
MARGIN = 0.2  # fraction of the area that is left free around a digit


def lines(*points: Point) -> Stroke:
    """From corner to corner through points in between, so that corners are drawn sharp."""
    stroke = [points[0]]
    for (x, y), (to_x, to_y) in pairwise(points):
        shares = [part / PARTS for part in range(1, PARTS + 1)]
        stroke += [(x + (to_x - x) * share, y + (to_y - y) * share) for share in shares]
    return stroke


def arc(middle: Point, width: float, height: float, begin: float, end: float) -> Stroke:
    """A part of an ellipse with that width and height."""
    count = max(1, round(abs(end - begin) / STEP))
    degrees = [begin + (end - begin) * at / count for at in range(count + 1)]
    return [
        (middle[0] + width / 2 * cos(radians(angle)), middle[1] + height / 2 * sin(radians(angle)))
        for angle in degrees
    ]


def placed(strokes: list[Stroke], margin: float = MARGIN) -> list[Stroke]:
    """The strokes with a margin on all sides."""
    size = 1 - 2 * margin
    return [[(margin + size * x, margin + size * y) for x, y in stroke] for stroke in strokes]


_BARE: dict[int, list[Stroke]] = {
    0: [arc((0.5, 0.5), 0.62, 0.96, -90, 270)],
    1: [lines((0.36, 0.2), (0.55, 0.02), (0.55, 0.98))],
    2: [
        arc((0.5, 0.3), 0.6, 0.56, -170, 30) + lines((0.73, 0.47), (0.16, 0.96), (0.88, 0.96)),
    ],
    3: [
        arc((0.46, 0.26), 0.6, 0.48, -155, 90) + arc((0.46, 0.74), 0.7, 0.48, -90, 150),
    ],
    4: [
        lines((0.42, 0.04), (0.12, 0.58), (0.9, 0.58)),
        lines((0.68, 0.3), (0.66, 0.98)),
    ],
    5: [
        lines((0.82, 0.04), (0.28, 0.04), (0.23, 0.45))
        + arc((0.46, 0.68), 0.68, 0.58, -130, 145),
    ],
    6: [
        arc((0.76, 0.68), 1.12, 1.32, -100, -180) + arc((0.5, 0.7), 0.6, 0.54, 180, -180),
    ],
    7: [lines((0.12, 0.06), (0.86, 0.06), (0.4, 0.98))],
    8: [
        arc((0.5, 0.27), 0.52, 0.5, 90, 450) + arc((0.5, 0.75), 0.62, 0.46, -90, -450),
    ],
    9: [
        arc((0.5, 0.3), 0.6, 0.56, 0, -360) + arc((0.3, 0.5), 1, 0.95, 0, 90),
    ],
}  # fmt: skip
DIGITS = {digit: placed(strokes) for digit, strokes in _BARE.items()}
