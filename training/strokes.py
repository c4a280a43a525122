"""Draws digits with a simulated pen: skeletons that are bent and inked differently each time.

    skeleton, points in a box --jitter--> smooth curve --to 20 pixels--> distance to the pen --> ink

scikit-learn's digits were written by 43 people of one country: their sevens have a bar, their twos
have no loop. The skeletons below add the shapes that are missing there.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.card import SIDE

BOX = 20  # pixels
SMOOTH = 16  # points of the curve between two points of a skeleton
WOBBLE = 0.045  # of the unit box, standard deviation of each point

# digit: the ways people write it. A way is a sequence of strokes, separated by "/". A stroke is the
# points "x,y" of a smooth curve, in hundredths of a box, y down. Strokes meet at corners.
SKELETONS = {
    0: [
        "50,0 15,20 5,55 25,95 60,98 90,65 85,20 50,0",
        "70,5 30,10 5,50 25,95 65,95 95,50 80,10 45,2",
    ],
    1: [
        "50,0 50,50 50,100",
        "60,0 50,50 40,100",
        "30,20 55,0 / 55,0 55,100",
        "35,20 52,0 / 52,0 52,100 / 30,100 75,100",
    ],
    2: [
        "10,25 35,2 75,8 80,35 50,70 8,98 / 8,98 50,94 95,98",
        "10,20 45,0 82,20 60,60 25,95 5,85 25,72 55,88 98,95",
        "8,25 40,0 80,20 65,55 30,90 8,92 5,75 30,68 60,85 98,92",
        "15,15 55,0 80,22 55,65 15,98 10,80 35,78 65,95 95,85",
        "5,12 50,0 85,15 70,50 10,100 / 10,100 90,90",
    ],
    3: [
        "10,12 50,0 85,20 60,44 35,48 / 35,48 80,58 85,85 50,100 8,90",
        "10,5 85,5 / 85,5 45,40 / 45,40 85,60 80,90 40,100 8,88",
        "20,5 70,5 80,25 45,45 75,55 80,85 45,100 5,95",
    ],
    4: [
        "25,5 15,30 10,55 / 10,55 50,55 92,50 / 78,5 72,50 66,100",
        "70,0 35,40 5,65 / 5,65 95,65 / 70,0 68,50 66,100",
        "20,5 15,40 40,55 80,42 / 82,2 78,50 72,100",
    ],
    5: [
        "88,3 28,5 / 28,5 20,45 / 20,45 60,38 90,65 65,98 10,92",
        "98,0 45,5 / 45,5 28,40 / 28,40 70,45 75,80 40,100 5,90",
        "95,5 50,2 25,15 35,40 75,55 70,90 35,100 5,85",
    ],
    6: [
        "75,2 35,25 10,65 30,98 75,90 80,60 45,55 15,75",
        "55,0 25,40 12,75 40,100 75,80 60,55 20,72",
        "40,0 15,40 15,85 55,100 90,80 60,62 20,85",
    ],
    7: [
        "5,5 95,5 / 95,5 65,50 45,100",
        "5,20 10,5 90,6 / 90,6 75,45 60,100",
        "5,20 30,4 85,10 65,50 45,100",
        "5,10 90,3 / 90,3 50,55 30,100",
        "5,5 95,5 / 95,5 60,50 40,100 / 30,50 85,48",
    ],
    8: [
        "85,12 50,0 15,20 45,45 85,70 60,100 15,85 40,52 80,25 85,10",
        "50,0 20,20 50,45 80,20 50,0 / 50,45 10,75 50,100 90,75 50,45",
    ],
    9: [
        "80,15 45,0 10,25 35,50 75,35 82,12 / 82,12 80,55 70,100",
        "80,15 45,0 12,25 40,48 80,25 / 82,10 80,60 55,98 15,92",
        "75,10 35,2 10,30 40,45 75,15 65,60 45,100",
    ],
}


def drawn_digits(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` images (count, 28, 28) with labels (count,), equally many of each digit."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 10).astype(np.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # strokes are small: threads would only wait for each other
    try:
        pixels = np.stack([_draw(SKELETONS[int(digit)], random) for digit in labels])
    finally:
        torch.set_num_threads(threads)
    return pixels, labels


def drawn_by_one_hand(way: str, count: int, seed: int) -> NDArray[np.uint8]:
    """Images (count, 28, 28) of one way of writing, which need not be in SKELETONS."""
    random = np.random.default_rng(seed)
    return np.stack([_draw([way], random) for _ in range(count)])


def _draw(ways: Sequence[str], random: np.random.Generator) -> NDArray[np.uint8]:
    strokes = ways[int(random.integers(len(ways)))].split("/")
    curves = [_curve(_points(stroke), random) for stroke in strokes]
    points = np.concatenate(curves) * [random.uniform(0.45, 1.0), 1.0]  # (p, 2), narrow or wide
    points -= points.min(0)
    pen = random.uniform(0.7, 1.9)
    points *= (BOX - 2 * pen) / points.max()
    points += (SIDE - 1) / 2 - points.mean(0)  # about the centre of mass of the ink
    return _inked(torch.from_numpy(points).float(), pen)


def _points(stroke: str) -> NDArray[np.float64]:
    """ "50,0 15,20" as (k, 2), 0..1."""
    return np.array([point.split(",") for point in stroke.split()], np.float64) / 100


def _curve(stroke: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """A Catmull-Rom curve (p, 2) through a stroke's points (k, 2), each randomly moved a little."""
    knots = stroke + random.normal(0, WOBBLE, stroke.shape)
    knots = np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, SMOOTH)[:, None]
    parts = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        parts.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                   + (3 * b - a - 3 * c + d) * t**3)
        )  # fmt: skip
    return np.concatenate(parts)


def _inked(points: Tensor, pen: float) -> NDArray[np.uint8]:
    """The image (28, 28) of a pen of radius `pen` pixels that moved along `points` (p, 2)."""
    axis = torch.arange(SIDE, dtype=torch.float32)
    sheet = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)  # (784, 2)
    distance = torch.cdist(sheet, points).min(1).values.reshape(SIDE, SIDE)
    ink = torch.clamp(pen - distance + 0.5, 0, 1)
    return (ink * 255).byte().numpy()
