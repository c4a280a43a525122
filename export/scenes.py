"""Draws images for the proof of a model whose own images are not at hand.

They are the same at each call. They cover what images differ in: black, white and noise; smooth
shades; shapes with sharp edges, few and many, in all colours.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.runners import Pixels

SHAPES = 12  # on one image, at most


def draw(count: int, shape: tuple[int, ...]) -> Pixels:
    """`count` images of `shape`, (h, w) or (h, w, 3): (n, h, w) or (n, h, w, 3)."""
    rng = np.random.default_rng(0)
    plain = [np.full(shape, level, np.uint8) for level in (0, 255)]
    noise = rng.integers(0, 256, shape, np.uint8)
    scenes = [_scene(shape, rng) for _ in range(count)]
    return np.stack([*plain, noise, *scenes][:count])


def _scene(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A shaded background with shapes on it, and a little noise."""
    height, width, *colours = shape
    corners = rng.integers(0, 256, (2, 2, *colours), np.uint8)
    scene: Any = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(rng.integers(1, SHAPES + 1)):
        colour = rng.integers(0, 256, 3).tolist()
        first, second = (rng.integers(0, (width, height)).tolist() for _ in range(2))
        match rng.integers(3):
            case 0:
                cv2.rectangle(scene, first, second, colour, -1)
            case 1:
                cv2.circle(
                    scene, first, int(rng.integers(1, 1 + max(height, width) // 3)), colour, -1
                )
            case _:
                cv2.line(scene, first, second, colour, int(rng.integers(1, 2 + height // 20)))
    noisy = scene + rng.normal(0, rng.uniform(0, 12), shape)
    return np.asarray(noisy.round().clip(0, 255), np.uint8)
