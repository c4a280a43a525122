"""Finds the digit in the ink and crops it, without specks, ruled lines and frames.

    ink (h, w) --threshold--> pieces --belong together--> digit (h', w'), cropped, 255 = full

A digit may consist of several pieces (the bar of a 5, a pen that skipped), and so may dirt.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocessing.digits.background import Ink, above, share_of_border

STRONG = 0.4  # of the strongest ink: ruled lines and the grain of the paper are weaker
PALE = 0.2  # of the strongest ink, on paper without lines
LARGE_ENOUGH = 100  # pixels; strokes on smaller images may be one pixel wide
NOISE = 4.5  # times the usual variation of the paper
PIECE = 0.03  # of the largest piece's ink: smaller pieces are specks
NEAR = 0.3  # of the largest piece's longer side: pieces farther away do not belong to it
LARGE, FAR = 0.15, 1.0  # as PIECE and NEAR, for pieces that are too large to be specks
FRAME = 0.5  # of an edge of the image
INSIDE = 0.1  # of its longer side; smaller pieces inside a frame are not digits

_LEVELS = np.arange(256, dtype=np.float32)


def crop_digit(ink: Ink) -> Ink | None:
    """The ink of the digit in its bounding box; None if no ink is stronger than the grain."""
    smooth = _smooth(ink)
    # Both quantiles are those of the paper, even if ink and lines cover more than half.
    clean, paper, strongest = _levels(smooth, (0.05, 0.25, 1 - 1 / 2000))
    noise, peak = paper - clean, strongest - paper
    if peak <= max(1.0, NOISE * noise):
        return None
    kept = _kept(smooth, _strong(smooth, paper, peak))
    left, top, width, height = cv2.boundingRect(kept)
    edge = slice(max(0, top - 1), top + height + 1), slice(max(0, left - 1), left + width + 1)
    near = cv2.dilate(kept[edge], np.ones((3, 3), np.uint8))  # including the soft edges of strokes
    digit = cv2.bitwise_and(ink[edge], ink[edge], mask=near)
    (full,) = _levels(ink[edge][kept[edge] > 0], (0.75,))
    floor = min(paper + 3 * noise, paper + (full - paper) / 4)
    levels = np.clip((_LEVELS - floor) * (255 / max(1.0, full - floor)), 0, 255).astype(np.uint8)
    stretched = np.asarray(cv2.LUT(digit, levels), np.uint8)
    left, top, width, height = cv2.boundingRect((stretched > 8).astype(np.uint8))
    found: Ink = stretched[top : top + height, left : left + width]
    return found


def _strong(ink: Ink, paper: float, peak: float) -> NDArray[np.bool_]:
    """The pixels that belong to strokes; also pale ones, unless there are pale lines.

    Ruled lines and guides reach the border of the image, and a stroke rarely does.
    """
    strong, pale = (above(ink, paper + share * peak) for share in (STRONG, PALE))
    chosen = strong if share_of_border(pale) > share_of_border(strong) else pale
    return chosen.view(np.bool_)


def _smooth(ink: Ink) -> Ink:
    """Smoothed against grain, if strokes are wide enough for that."""
    if max(ink.shape) < LARGE_ENOUGH:
        return ink
    return np.asarray(cv2.GaussianBlur(ink, (3, 3), 0), np.uint8)


def _levels(ink: Ink, shares: Sequence[float]) -> list[float]:
    """The quantiles of the levels: at most these shares of the pixels are below them."""
    # Without the zeros, most of all pixels: equal neighbours take OpenCV four times as long.
    counts = cv2.calcHist([ink], [0], ink, [256], [0, 256]).ravel()
    counts[0] = ink.size - cv2.countNonZero(ink)
    counts = counts.cumsum()
    return [float(level) for level in np.searchsorted(counts, np.multiply(shares, ink.size))]


def _kept(ink: Ink, strong: NDArray[np.bool_]) -> Ink:
    """255 at the pieces of the digit."""
    bridged = cv2.dilate(strong.astype(np.uint8), np.ones((3, 3), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(bridged, ltype=cv2.CV_16U)
    if len(boxes) == 2:  # the paper and one piece
        return strong.view(np.uint8) * np.uint8(255)
    mass = np.bincount(labels[strong], weights=ink[strong], minlength=len(boxes))  # (pieces,)
    mass[_are_frame(labels, boxes)] = 0
    main = int(mass.argmax())
    share, gap = mass / mass[main], _gaps(boxes, main)
    keep = ((share >= PIECE) & (gap <= NEAR)) | ((share >= LARGE) & (gap <= FAR))
    keep[0] = False
    kept: Ink = (keep[labels] & strong).astype(np.uint8) * np.uint8(255)
    return kept


def _are_frame(labels: NDArray[Any], boxes: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each piece is a frame around the paper.

    A frame covers most of an edge of the image, and there is a piece inside it that touches no
    edge.
    """
    edges = labels[0], labels[-1], labels[:, 0], labels[:, -1]
    share = np.stack([np.bincount(edge, minlength=len(boxes)) / len(edge) for edge in edges])
    inside = ~share.any(0) & (boxes[:, 2:4].max(1) >= INSIDE * max(labels.shape))
    inside[0] = False
    frame: NDArray[np.bool_] = (share.max(0) > FRAME) & inside.any()
    return frame


def _gaps(boxes: NDArray[Any], main: int) -> NDArray[np.float64]:
    """The distance of each box (left, top, width, height, area) from the main one, in its sides."""
    left, top, width, height = boxes[:, :4].T
    x = np.maximum(left[main] - left - width, left - left[main] - width[main])
    y = np.maximum(top[main] - top - height, top - top[main] - height[main])
    gaps: NDArray[np.float64] = np.maximum(x, y) / max(width[main], height[main])
    return gaps
