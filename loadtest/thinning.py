"""What is left of a shape when it is peeled to lines one pixel wide (Zhang and Suen, 1984).

    shape (h, w) bool --peel both sides in turn, until nothing changes--> skeleton (h, w) bool

Eight neighbours of all pixels are looked at in one go: some milliseconds for a shape of 150 pixels,
as many rounds as its strokes are wide.
"""

import numpy as np
from numpy.typing import NDArray

Shape = NDArray[np.bool_]  # (h, w)

# Of p2, p3 ... p9 in the paper: from the neighbour above, clockwise. Down, right.
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


def thinned(shape: Shape) -> Shape:
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
