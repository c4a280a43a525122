"""Separates ink from paper, whatever the colours, the light and the paper.

    raster (h, w[, 3]) --one channel--> shade --minus the estimated paper--> ink (h, w)

The paper under a stroke is estimated from its surroundings: it is the lightest place nearby
(closing) or, if the ink is lighter than the paper, the darkest place (opening). Shadows are wider
than strokes, so they count as paper. The paper is estimated on a small copy of the image.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Raster = NDArray[np.uint8]  # (h, w) gray or (h, w, 3) BGR
Shade = NDArray[np.uint8]  # (h, w), colours projected onto one axis
Ink = NDArray[np.uint8]  # (h, w), 0 = paper, 255 = ink

COARSE = 96  # pixels of the longest side on which the paper is estimated
REACHES = 0.12, 0.24, 0.42  # of the longest side; anything wider than the chosen one is paper
BORDER = 3.0  # times a reach: ink along the border is removed if it is up to twice as long
DETAIL = 0.1  # of the longest side; the neighbourhood with which a colour is compared
SOFT = 0.4  # of the sharpest edge; softer edges count against an estimate
CERTAIN = 0.95  # of the sharp edges; if the ink's outline has that many, its polarity is settled
CONTRAST = 32  # levels between paper and the strongest ink; less is noise on blank paper
FAINT = 10  # the same on paper without grain, as programs draw it
GRAIN = 1  # levels
INKED = 0.4  # of the image, at most: more is grain
DIMMEST = np.uint8(48)  # level; darker pixels do not count as paper in shadow

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def separate_ink(raster: Raster, coarse: Raster) -> Ink | None:
    """The strength of the ink at each pixel; None if there is none. `coarse` is `reduced`."""
    is_lightness = True
    if raster.ndim == 3:
        to_shade = _to_shade(coarse)
        is_lightness = bool(to_shade[0, :3].min() > 0)
        raster = np.asarray(cv2.transform(raster, to_shade), np.uint8)
        coarse = np.asarray(cv2.transform(coarse, to_shade), np.uint8)
    paper, is_dark = _paper(coarse, is_lightness)
    paper = np.asarray(cv2.resize(paper, raster.shape[::-1], interpolation=cv2.INTER_LINEAR))
    apart = _smooth(_apart(raster, paper, is_dark))
    contrast = float(apart.max())
    is_clean = cv2.countNonZero(above(apart, GRAIN)) < INKED * apart.size
    if contrast < (FAINT if is_clean else CONTRAST):
        return None
    return _strength(raster, paper, is_dark, is_lightness)


def reduced(raster: Raster) -> Raster:
    """A copy of at most COARSE pixels; the image itself if it is no larger."""
    return resized(raster, COARSE) if max(raster.shape[:2]) > COARSE else raster


def resized(image: Raster, longest: int) -> Raster:
    """The image scaled so that its longest side has `longest` pixels, with antialiasing."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _to_shade(colours: Raster) -> NDArray[np.float64]:
    """The matrix (1, 4) that maps a colour and 1 to its shade.

    It projects onto the axis along which colours differ most from their surroundings. As light
    changes slowly across an image, this axis leads from the colour of the paper to that of the ink,
    even if both are equally light.
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
    """The paper without ink, and whether the ink is darker than the paper.

    Of several estimates, the best is the one whose ink has its outline where the image has its
    edges: shadows have no sharp edges, and the inside of a loop has only some of them. Once an
    estimate is certain, only its polarity is tried with the other reaches.
    """
    edges = cv2.morphologyEx(shade, cv2.MORPH_GRADIENT, _NEIGHBOURS).astype(np.float32)
    edges -= SOFT * edges.max()
    enough = CERTAIN * float(np.maximum(edges, 0).sum())
    best, most = (shade, True), -np.inf
    directions: tuple[bool, ...] = (True, False)
    for reach in REACHES:
        for is_dark in directions:
            paper = _without_ink(shade, max(1, round(reach * max(shade.shape) / 2)), is_dark)
            ink = _strength(shade, paper, is_dark, is_lightness)
            strong = above(ink, float(ink.max()) / 2)
            outline: Any = cv2.morphologyEx(strong, cv2.MORPH_GRADIENT, _NEIGHBOURS)
            found = cv2.mean(edges, outline)[0] * cv2.countNonZero(outline)
            # Paper and ink have the same outline, and the border shows more of the paper.
            found *= min(1.0, 2 * (1 - share_of_border(strong)))
            if found > most:
                best, most = (paper, is_dark), found
        if most >= enough:
            directions = (best[1],)
    return best


def _without_ink(shade: Shade, reach: int, is_dark: bool) -> Shade:
    """Fill strokes of up to twice `reach` from their surroundings."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    operation = cv2.MORPH_CLOSE if is_dark else cv2.MORPH_OPEN
    # Beyond the border the paper goes on, without the ink that touches the border: a constant there
    # would turn a gap between stroke and border into a stroke, the border itself would turn a
    # stroke along it into paper.
    edged = shade.copy()
    _set_border(edged, _closed_border(shade, max(reach, round(BORDER * reach)), operation))
    wide = cv2.copyMakeBorder(edged, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    wide[reach:-reach, reach:-reach] = shade
    paper: Any = cv2.morphologyEx(wide, operation, square)
    return np.asarray(paper[reach:-reach, reach:-reach], np.uint8)


def _closed_border(shade: Shade, reach: int, operation: int) -> NDArray[np.uint8]:
    """The outermost pixels, clockwise from the top left, without the ink among them."""
    ring = np.concatenate([shade[0], shade[1:, -1], shade[-1, -2::-1], shade[-2:0:-1, 0]])
    reach = min(reach, (len(ring) - 1) // 2)
    around = np.concatenate([ring[-2 * reach :], ring, ring[: 2 * reach]])[np.newaxis]
    closed: Any = cv2.morphologyEx(around, operation, np.ones((1, 2 * reach + 1), np.uint8))
    return np.asarray(closed[0, 2 * reach : 2 * reach + len(ring)], np.uint8)


def _set_border(shade: Shade, ring: NDArray[np.uint8]) -> None:
    height, width = shade.shape
    right, bottom, left = np.cumsum([width, height - 1, width - 1])
    shade[0], shade[1:, -1] = ring[:right], ring[right:bottom]
    shade[-1, -2::-1], shade[-2:0:-1, 0] = ring[bottom:left], ring[left:]


def _apart(shade: Shade, paper: Shade, is_dark: bool) -> Shade:
    """The difference from the paper in levels, in the direction of the ink only."""
    apart: Any = cv2.subtract(paper, shade) if is_dark else cv2.subtract(shade, paper)
    return np.asarray(apart, np.uint8)


def _strength(shade: Shade, paper: Shade, is_dark: bool, is_lightness: bool) -> Ink:
    """The strength of the ink. Dark ink is measured relative to the paper, against shadows."""
    apart = _apart(shade, paper, is_dark)
    if not (is_dark and is_lightness):
        return apart
    return np.asarray(cv2.divide(apart, np.maximum(paper, DIMMEST), scale=255), np.uint8)


def above(ink: Ink, level: float) -> NDArray[np.uint8]:
    """1 where the ink is stronger than that."""
    return np.asarray(cv2.threshold(ink, level, 1, cv2.THRESH_BINARY)[1], np.uint8)


def share_of_border(strong: NDArray[np.uint8]) -> float:
    """The share of the outermost pixels that are not 0."""
    count = cv2.countNonZero(strong) - cv2.countNonZero(strong[1:-1, 1:-1])
    return count / max(1, 2 * sum(strong.shape) - 4)


def _smooth(ink: Ink) -> Ink:
    """Smoothed to remove single pixels, if the image is large enough."""
    return ink if min(ink.shape) < COARSE else np.asarray(cv2.blur(ink, (3, 3)), np.uint8)
