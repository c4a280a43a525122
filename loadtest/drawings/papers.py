"""What lies under the ink: a sheet's colour at every pixel, and the light that falls on it.

    paper (h, w, 3) float32 BGR 0..255, as it would look in even light
    light (h, w, 1) float32, 1 = full; what the camera sees is paper and ink times light

Colours are such that a person sees the ink: at least `APART` between paper and pen.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.float32]  # (3,) BGR, 0..255
Sheet = NDArray[np.float32]  # (h, w, 3) BGR, or (h, w, 1) light
Size = tuple[int, int]  # h, w in pixels

APART = 110.0  # of 441 between black and white
SAME_LIGHT = 12.0  # levels of gray that two colours may differ by and still be called equally light
_GRAY = np.array([0.114, 0.587, 0.299])  # of BGR


def colours(generator: np.random.Generator, kind: str) -> tuple[Colour, Colour]:
    """Paper's and pen's."""
    if kind == "black":
        return _between(generator, 0, 30), _bright(generator)
    if kind == "coloured":
        return _pair(generator)
    if kind == "equally light":
        return _pair(generator, same_light=True)
    lightest = generator.uniform(170, 255)  # white paper as cameras see it is often gray
    paper = np.float32(255.0) if kind == "white" else np.float32(lightest)
    tint = np.zeros(3) if kind == "white" else generator.uniform(-12, 12, 3)
    return np.clip(paper + tint, 0, 255).astype(np.float32), _dark(generator)


def sheet(generator: np.random.Generator, kind: str, size: Size, colour: Colour) -> Sheet:
    """The paper itself."""
    paper = np.broadcast_to(colour, (*size, 3)).astype(np.float32)
    if kind in ("lined", "squared"):
        return _ruled(generator, paper, both=kind == "squared")
    return paper


def light(generator: np.random.Generator, kind: str, size: Size) -> Sheet:
    if kind == "gradient":
        return _gradient(generator, size, weakest=0.4)
    if kind == "shadow":
        return _gradient(generator, size, weakest=0.75) * _shadow(generator, size)
    if kind in ("lined", "squared", "noisy"):
        return _gradient(generator, size, weakest=0.85)
    return np.ones((*size, 1), np.float32)


def grain(generator: np.random.Generator, kind: str, size: Size) -> Sheet | float:
    """What paper and camera add to every channel, in levels."""
    levels = {"noisy": 14.0, "shadow": 5.0, "gradient": 2.0, "lined": 3.0, "squared": 3.0}
    if kind not in levels:
        return 0.0
    noise = generator.standard_normal((*size, 1), np.float32)
    return noise * np.float32(generator.uniform(0.3, 1.0) * levels[kind])


def _ruled(generator: np.random.Generator, paper: Sheet, *, both: bool) -> Sheet:
    """Thin lines, paler than any pen, 5 to 12 on a sheet."""
    height, width = paper.shape[:2]
    step = max(height, width) / generator.uniform(5, 12)
    line = max(1, round(step / generator.uniform(14, 30)))
    shade = paper[0, 0] * generator.uniform([0.8, 0.7, 0.6], [0.95, 0.85, 0.8])  # bluish
    start = generator.uniform(0, step)
    ruled = paper.copy()
    for at in np.arange(start, height, step).astype(int):
        ruled[at : at + line] = shade
    for at in np.arange(start, width, step).astype(int) if both else ():
        ruled[:, at : at + line] = shade
    tilt = cv2.getRotationMatrix2D((width / 2, height / 2), generator.uniform(-2, 2), 1.06)
    turned: Any = cv2.warpAffine(ruled, tilt, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.float32)


def _gradient(generator: np.random.Generator, size: Size, *, weakest: float) -> Sheet:
    """Full light at one end, down to at least `weakest` at the other."""
    down, right = _places(size)
    angle = generator.uniform(0, 2 * np.pi)
    along = np.cos(angle) * right + np.sin(angle) * down
    along = (along - along.min()) / max(float(np.ptp(along)), 1e-6)
    lit = 1 - along * (1 - generator.uniform(weakest, min(0.95, weakest + 0.35)))
    return np.asarray(lit[..., np.newaxis], np.float32)


def _shadow(generator: np.random.Generator, size: Size) -> Sheet:
    """Half the sheet or a round part of it in the shade, with a soft edge."""
    down, right = _places(size)
    angle, at = generator.uniform(0, 2 * np.pi), generator.uniform(-0.25, 0.25)
    if generator.random() < 0.5:
        inside = np.cos(angle) * right + np.sin(angle) * down - at
    else:
        middle = generator.uniform(-0.6, 0.6, 2)
        inside = np.hypot(down - middle[0], right - middle[1]) - generator.uniform(0.4, 0.7)
    soft = generator.uniform(0.015, 0.12)  # of the sheet's side
    lit = 1 / (1 + np.exp(np.clip(-inside / soft * 2, -30, 30)))
    deep = generator.uniform(0.35, 0.75)  # light that is left
    return np.asarray((deep + (1 - deep) * lit)[..., np.newaxis], np.float32)


def _places(size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each pixel from the middle, in sides of the sheet, (h, 1) and (1, w)."""
    height, width = size
    down = (np.arange(height, dtype=np.float32) - height / 2) / max(size)
    right = (np.arange(width, dtype=np.float32) - width / 2) / max(size)
    return down[:, np.newaxis].astype(np.float32), right[np.newaxis].astype(np.float32)


def _pair(generator: np.random.Generator, *, same_light: bool = False) -> tuple[Colour, Colour]:
    while True:
        paper, pen = generator.uniform(0, 255, (2, 3)).astype(np.float32)
        lighter = abs(float((paper - pen) @ _GRAY))
        if np.linalg.norm(paper - pen) >= APART and (not same_light or lighter <= SAME_LIGHT):
            return paper, pen


def _between(generator: np.random.Generator, low: float, high: float) -> Colour:
    return np.full(3, generator.uniform(low, high), np.float32)


def _dark(generator: np.random.Generator) -> Colour:
    """A pen for white paper: black, blue, red, green, or anything dark enough."""
    known = np.array([[20, 20, 20], [150, 40, 20], [40, 30, 200], [50, 110, 30], [70, 70, 70]])
    pen = known[generator.integers(len(known))] + generator.uniform(-20, 20, 3)
    return np.asarray(np.clip(pen, 0, 255), np.float32)


def _bright(generator: np.random.Generator) -> Colour:
    known = np.array([[255, 255, 255], [230, 230, 230], [60, 220, 250], [120, 230, 120]])
    return np.asarray(known[generator.integers(len(known))], np.float32)
