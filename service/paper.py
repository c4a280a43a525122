"""Where on a picture the ink is, whatever the colours, the light and the paper.

    raster (h, w[, 3]) --one channel--> shade --minus what the paper is like there--> ink (h, w)

The paper under a stroke is what it is beside it: the lightest place near by (closing), or the
darkest (opening) if the ink is the lighter of both. Shadows are wider than strokes, so they are
paper. Everything after the first shrinking costs the same, however large the picture was.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Raster = NDArray[np.uint8]  # (h, w) gray or (h, w, 3) BGR
Levels = NDArray[np.float32]  # (h, w), as far apart as levels of gray, 0..255
Ink = NDArray[np.uint8]  # (h, w), 0 = paper, 255 = ink

COARSE = 64  # pixels of the longest side on which the paper is looked for
REACH = 27  # coarse pixels; wider strokes are taken for paper, narrower shadows for ink
DIMMEST = 48.0  # level; what is darker than that does not count as paper in the shade


def contrast_and_ink(raster: Raster) -> tuple[float, Ink]:
    """By how many levels the ink stands out from the paper, and its strength at each pixel."""
    shade, is_lightness = _one_channel(raster)
    lightest, darkest = _papers(shade)
    dark, light = lightest - shade, shade - darkest
    is_dark = _is_around(_smooth(dark), _smooth(light))
    ink = dark if is_dark else light
    contrast = float(_smooth(ink).max())
    if is_dark and is_lightness:  # in the shade everything is darker by the same factor
        ink = ink * (255 / np.maximum(lightest, DIMMEST))
    return contrast, np.clip(ink, 0, 255).astype(np.uint8)


def _one_channel(raster: Raster) -> tuple[Levels, bool]:
    """The direction in which colours differ most from those around them; is it light to dark?

    Light changes slowly across a picture, so that is the way from the paper's colour to the ink's,
    also where both are equally light.
    """
    if raster.ndim == 2:
        return raster.astype(np.float32), True
    colours: Any = raster.astype(np.float32)  # (h, w, 3)
    around = max(3, max(raster.shape) // 4)
    details = (colours - cv2.blur(colours, (around, around))).reshape(-1, 3)  # (h * w, 3)
    _, axes = np.linalg.eigh(details.T @ details)
    axis = axes[:, -1] * (1 if axes[:, -1].sum() >= 0 else -1)  # (3,)
    shade: Any = cv2.transform(colours, (axis / np.abs(axis).sum())[np.newaxis])
    return shade, bool(axis.min() > 0)


def _papers(shade: Levels) -> tuple[Levels, Levels]:
    """What each pixel would be without ink: if the ink is dark, and if it is light."""
    height, width = shade.shape
    scale = min(1.0, COARSE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    coarse = cv2.resize(shade, size, interpolation=cv2.INTER_AREA)
    # Beyond its edges the sheet goes on as it ends: a gap between stroke and edge is no stroke.
    wide = cv2.copyMakeBorder(coarse, *[REACH // 2] * 4, cv2.BORDER_REPLICATE)
    square = np.ones((REACH, REACH), np.uint8)
    found = []
    for kind in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN):
        paper = cv2.blur(cv2.morphologyEx(wide, kind, square), (5, 5))
        inner = paper[REACH // 2 : -(REACH // 2), REACH // 2 : -(REACH // 2)]
        found.append(cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR))
    lightest, darkest = found
    return np.asarray(lightest, np.float32), np.asarray(darkest, np.float32)


def _is_around(one: Levels, other: Levels) -> bool:
    """Is what stands out in `one` around what stands out in `other`, as a stroke around its loop?

    Each row and column, from either end, asks which of both it meets first.
    """
    peak = max(float(one.max()), float(other.max())) / 2
    first, second = one > peak, other > peak
    votes = 0
    for marks, others in ((first, second), (first.T, second.T)):
        for step in (1, -1):
            met = _first(marks[:, ::step]) - _first(others[:, ::step])
            votes += int((met < 0).sum()) - int((met > 0).sum())
    return votes >= 0


def _first(marks: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Of each row, how far its first mark is; its length if there is none."""
    return np.where(marks.any(1), marks.argmax(1), marks.shape[1])


def _smooth(levels: Levels) -> Levels:
    """Without single pixels, where there are enough of them to miss some."""
    if min(levels.shape) < 2 * COARSE:
        return levels
    return np.asarray(cv2.blur(levels, (3, 3)), np.float32)
