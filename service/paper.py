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

COARSE = 128  # pixels of the longest side on which the paper is looked for
REACHES = 0.12, 0.24, 0.42  # of the longest side; what is wider than the one chosen is paper
DETAIL = 0.1  # of the longest side; how far around it a colour is compared
SOFT = 0.3  # of the sharpest edge; softer ones speak against what they are an edge of
BETTER = 1.0  # times as good a wider reach must be
DIMMEST = 48.0  # level; what is darker than that does not count as paper in the shade

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def contrast_and_ink(raster: Raster) -> tuple[float, Ink]:
    """By how many levels the ink stands out from the paper, and its strength at each pixel."""
    shade, is_lightness = _one_channel(raster)
    paper, is_dark = _paper(shade)
    ink = paper - shade if is_dark else shade - paper
    contrast = float(_smooth(ink).max())
    if is_dark and is_lightness:  # in the shade everything is darker by the same factor
        ink = ink * (255 / np.maximum(paper, DIMMEST))
    return contrast, np.clip(ink, 0, 255).astype(np.uint8)


def _one_channel(raster: Raster) -> tuple[Levels, bool]:
    """The direction in which colours differ most from those around them; is it light to dark?

    Light changes slowly across a picture, so that is the way from the paper's colour to the ink's,
    also where both are equally light.
    """
    if raster.ndim == 2:
        return raster.astype(np.float32), True
    colours: Any = raster.astype(np.float32)  # (h, w, 3)
    around = max(3, round(DETAIL * max(raster.shape)))
    details = (colours - cv2.blur(colours, (around, around))).reshape(-1, 3)  # (h * w, 3)
    _, axes = np.linalg.eigh(details.T @ details)
    axis = axes[:, -1] * (1 if axes[:, -1].sum() >= 0 else -1)  # (3,)
    shade: Any = cv2.transform(colours, (axis / np.abs(axis).sum())[np.newaxis])
    return shade, bool(axis.min() > 0)


def _paper(shade: Levels) -> tuple[Levels, bool]:
    """What each pixel would be without ink, and whether the ink is darker than that.

    Of several guesses the one whose ink has its outline where the picture has its edges: shadows
    have no sharp ones, and what is inside of a loop has only some of them.
    """
    height, width = shade.shape
    scale = min(1.0, COARSE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    coarse = cv2.resize(shade, size, interpolation=cv2.INTER_AREA)
    edges = cv2.morphologyEx(coarse, cv2.MORPH_GRADIENT, _NEIGHBOURS)
    edges -= SOFT * float(edges.max())
    best, most = (coarse, True), -np.inf
    for reach in REACHES:
        for is_dark in (True, False):
            paper = _without_ink(coarse, max(1, round(reach * max(size) / 2)), is_dark)
            found = float(edges[_outline(np.abs(paper - coarse))].sum())
            if found > most:
                best, most = (paper, is_dark), found * BETTER
    paper, is_dark = best
    fine = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine, np.float32), is_dark


def _without_ink(shade: Levels, reach: int, is_dark: bool) -> Levels:
    """Strokes up to twice `reach` wide filled with what is beside them."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    # Beyond its edges the sheet goes on as it ends: a gap between stroke and edge is no stroke.
    wide = cv2.copyMakeBorder(shade, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    paper: Any = cv2.morphologyEx(wide, cv2.MORPH_CLOSE if is_dark else cv2.MORPH_OPEN, square)
    return np.asarray(paper[reach:-reach, reach:-reach], np.float32)


def _outline(ink: Levels) -> NDArray[np.bool_]:
    """The pixels on either side of the edge of what is at least half as strong as the strongest."""
    strong = (ink > float(ink.max()) / 2).astype(np.uint8)
    outline: NDArray[np.bool_] = cv2.morphologyEx(strong, cv2.MORPH_GRADIENT, _NEIGHBOURS) > 0
    return outline


def _smooth(levels: Levels) -> Levels:
    """Without single pixels, where there are enough of them to miss some."""
    if min(levels.shape) < COARSE:
        return levels
    return np.asarray(cv2.blur(levels, (3, 3)), np.float32)
