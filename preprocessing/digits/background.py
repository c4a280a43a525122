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
Shade = NDArray[np.uint8]  # (h, w), one number for a colour, as far apart as levels of gray
Ink = NDArray[np.uint8]  # (h, w), 0 = paper, 255 = ink

COARSE = 96  # pixels of the longest side on which the paper is looked for
REACHES = 0.12, 0.24, 0.42  # of the longest side; what is wider than the one chosen is paper
DETAIL = 0.1  # of the longest side; how far around it a colour is compared
SOFT = 0.4  # of the sharpest edge; softer ones speak against what they are an edge of
DIMMEST = np.uint8(48)  # level; what is darker than that does not count as paper in the shade

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def separate_ink(raster: Raster) -> tuple[float, Ink]:
    """By how many levels the ink stands out from the paper, and its strength at each pixel."""
    coarse = _coarse(raster)
    is_lightness = True
    if raster.ndim == 3:
        to_shade = _to_shade(coarse)
        is_lightness = bool(to_shade[0, :3].min() > 0)
        raster = np.asarray(cv2.transform(raster, to_shade), np.uint8)
        coarse = np.asarray(cv2.transform(coarse, to_shade), np.uint8)
    paper, is_dark = _paper(coarse, is_lightness)
    paper = np.asarray(cv2.resize(paper, raster.shape[::-1], interpolation=cv2.INTER_LINEAR))
    contrast = float(_smooth(_apart(raster, paper, is_dark)).max())
    return contrast, _strength(raster, paper, is_dark, is_lightness)


def _coarse(raster: Raster) -> Raster:
    height, width = raster.shape[:2]
    scale = COARSE / max(height, width)
    if scale >= 1:
        return raster
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(raster, size, interpolation=cv2.INTER_AREA), np.uint8)


def _to_shade(colours: Raster) -> NDArray[np.float64]:
    """What to multiply a colour and 1 with to get its shade, (1, 4).

    The axis along which colours differ most from those around them: light changes slowly across a
    picture, so that is the way from the paper's colour to the ink's, also where both are equally
    light.
    """
    around = max(3, round(DETAIL * max(colours.shape)))
    levels: Any = colours.astype(np.float32)  # (h, w, 3)
    details = (levels - cv2.blur(levels, (around, around))).reshape(-1, 3)  # (h * w, 3)
    _, axes = np.linalg.eigh((details.T @ details).astype(np.float64))
    axis = axes[:, -1] / np.abs(axes[:, -1]).sum()  # (3,)
    if axis.sum() < 0:
        axis = -axis
    from_zero = -255 * axis[axis < 0].sum()
    return np.append(axis, from_zero)[np.newaxis]


def _paper(shade: Shade, is_lightness: bool) -> tuple[Shade, bool]:
    """What each pixel would be without ink, and whether the ink is darker than that.

    Of several guesses the one whose ink has its outline where the picture has its edges: shadows
    have no sharp ones, and what is inside of a loop has only some of them.
    """
    edges = cv2.morphologyEx(shade, cv2.MORPH_GRADIENT, _NEIGHBOURS).astype(np.float32)
    edges -= SOFT * edges.max()
    best, most = (shade, True), -np.inf
    for reach in REACHES:
        for is_dark in (True, False):
            paper = _without_ink(shade, max(1, round(reach * max(shade.shape) / 2)), is_dark)
            found = float(edges[_outline(_strength(shade, paper, is_dark, is_lightness))].sum())
            if found > most:
                best, most = (paper, is_dark), found
    return best


def _without_ink(shade: Shade, reach: int, is_dark: bool) -> Shade:
    """Strokes up to twice `reach` wide filled with what is beside them."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    # Beyond its edges the sheet goes on as it ends: a gap between stroke and edge is no stroke.
    wide = cv2.copyMakeBorder(shade, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    paper: Any = cv2.morphologyEx(wide, cv2.MORPH_CLOSE if is_dark else cv2.MORPH_OPEN, square)
    return np.asarray(paper[reach:-reach, reach:-reach], np.uint8)


def _apart(shade: Shade, paper: Shade, is_dark: bool) -> Shade:
    """In levels, and only to the side where the ink is."""
    apart: Any = cv2.subtract(paper, shade) if is_dark else cv2.subtract(shade, paper)
    return np.asarray(apart, np.uint8)


def _strength(shade: Shade, paper: Shade, is_dark: bool, is_lightness: bool) -> Ink:
    """What is darker than the paper counts in shares of it: less light makes both darker."""
    apart = _apart(shade, paper, is_dark)
    if not (is_dark and is_lightness):
        return apart
    return np.asarray(cv2.divide(apart, np.maximum(paper, DIMMEST), scale=255), np.uint8)


def _outline(ink: Ink) -> NDArray[np.bool_]:
    """The pixels on either side of the edge of what is at least half as strong as the strongest."""
    strong = (ink > float(ink.max()) / 2).astype(np.uint8)
    outline: NDArray[np.bool_] = cv2.morphologyEx(strong, cv2.MORPH_GRADIENT, _NEIGHBOURS) > 0
    return outline


def _smooth(ink: Ink) -> Ink:
    """Without single pixels, where there are enough of them to miss some."""
    return ink if min(ink.shape) < COARSE else np.asarray(cv2.blur(ink, (3, 3)), np.uint8)
