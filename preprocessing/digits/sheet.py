"""Removes what surrounds a sheet of paper: frames, bars, black corners of a scan, a box, a table.

    raster (h, w[, 3]) --threshold--> pieces --one is a sheet--> the sheet alone (h', w'[, 3])

The edges of a sheet are stronger than those of the ink on it: with its surroundings, the sheet
would be taken for the digit. A sheet is a rectangle, or a rotated one whose corners are cut off; it
is mostly paper, has ink on it and ends in sharp edges, unlike a shadow. A box is a line around a
digit. Both are searched on a small copy of the image.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocessing.digits.background import reduced

Raster = NDArray[np.uint8]  # (h, w) gray or (h, w, 3) BGR
Gray = NDArray[np.uint8]  # (h, w)
Mask = NDArray[np.uint8]  # (h, w), 1 = part of it

NESTED = 3  # sheets in each other: a box on a sheet in a frame
LARGEST = 3  # pieces that are looked at
SMALLEST, SHORTEST = 0.12, 8  # of the image's area, and pixels of the shorter side
WHOLE = 0.995  # of the image: there is nothing around it
CONVEX = 0.95  # of its hull: the border of a sheet is straight
# Of the smallest rectangle around it, of which an ellipse fills 0.785: a sheet whose corners the
# image cuts off, at least, and one that is complete.
CUT, COMPLETE = 0.83, 0.9
PAPER = 0.65  # of a sheet, at least: a 0 and its inside have more ink
INK = 0.004  # of a sheet, at least: the inside of a loop has none
LINE = 0.4  # of a box, at most
DIGIT = 0.25  # of a box's height, at least
APART = 40  # levels between the sheet and its surroundings
SHARP = 0.5  # of these levels within a pixel of the border
NARROW = 2.0  # times the shorter side
SPECK = 0.005  # of the image

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def without_surroundings(raster: Raster) -> tuple[Raster, Raster]:
    """The sheet in its bounding box, the rest of which is filled with its paper; a reduced copy.

    The image itself, if it shows nothing but a sheet, with paper around it if a 1 fills it.
    """
    for _ in range(NESTED):
        coarse = reduced(raster)
        sheet = _find(_gray(coarse))
        if sheet is None:
            break
        raster = _only(raster, sheet, paper=np.median(coarse[sheet > 0], 0))
    wider = _with_margin(raster)
    return wider, coarse if wider is raster else reduced(wider)


def _with_margin(raster: Raster) -> Raster:
    """The image with paper around it, if it is filled by a 1: its border is ink rather than paper.

    Of such a narrow image, the ink is one piece and the paper several, on both sides of it.
    """
    height, width = raster.shape[:2]
    if max(height, width) < NARROW * min(height, width):
        return raster
    sides = _sides(_gray(raster))
    pieces = [_pieces_at_border(side) for side in sides]
    if min(pieces) != 1 or max(pieces) < 2:
        return raster
    paper = np.median(raster[sides[int(np.argmax(pieces))] > 0], 0)
    margin = max(2, max(height, width) // 4)
    around = np.full((height + 2 * margin, width + 2 * margin, *raster.shape[2:]), paper, np.uint8)
    around[margin:-margin, margin:-margin] = raster
    return around


def _gray(raster: Raster) -> Gray:
    if raster.ndim == 2:
        return raster
    return np.asarray(cv2.cvtColor(raster, cv2.COLOR_BGR2GRAY), np.uint8)


def _sides(gray: Gray) -> tuple[Mask, Mask]:
    """The lighter and the darker pixels, by Otsu's threshold."""
    _, light = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(light, np.uint8), np.asarray(1 - light, np.uint8)


def _find(gray: Gray) -> Mask | None:
    candidates = (sheet for side in _sides(gray) for sheet in _sheets(side))
    return next((sheet for sheet in candidates if _is_sharp(gray, sheet)), None)


def _sheets(side: Mask) -> Iterator[Mask]:
    """Rectangles among the largest pieces of one side of the threshold, and insides of boxes."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(side, connectivity=4, ltype=cv2.CV_16U)
    for number in (1 + np.argsort(-boxes[1:, 2] * boxes[1:, 3])[:LARGEST]).tolist():
        _, _, width, height, area = boxes[number].tolist()
        if width * height < SMALLEST * side.size or min(width, height) < SHORTEST:
            return
        if area > WHOLE * side.size or _corners(labels, number) > 2:
            continue
        piece = np.asarray(labels == number, np.uint8)
        whole = _filled(piece)
        filled = cv2.countNonZero(whole)
        is_line = area <= LINE * filled
        is_sheet = area >= PAPER * filled and filled - area >= INK * filled
        if filled > WHOLE * side.size or not (is_line or is_sheet):
            continue
        if not _is_rectangle(whole, filled):
            continue
        if is_sheet and _has_surroundings(whole):
            yield whole
        elif is_line and (inside := _inside(piece, whole, side)) is not None:
            yield inside


def _filled(piece: Mask) -> Mask:
    """The piece with its holes."""
    contours, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros_like(piece)
    cv2.drawContours(whole, contours, -1, 1, cv2.FILLED)
    return whole


def _is_rectangle(whole: Mask, area: int) -> bool:
    hull: Any = cv2.convexHull(cv2.findNonZero(whole))
    # OpenCV's areas lie between the centres of pixels: half a pixel is added all around.
    around = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    _, (width, height), _ = cv2.minAreaRect(hull)
    share = CUT if any(edge.any() for edge in _edges(whole)) else COMPLETE
    return bool(area >= CONVEX * around and area >= share * (width + 1) * (height + 1))


def _has_surroundings(whole: Mask) -> bool:
    """Whether there is something else along two opposite edges of the image, or in its corners."""
    top, bottom, left, right = (not edge.any() for edge in _edges(whole))
    return (top and bottom) or (left and right) or _corners(whole, 1) <= 1


def _corners(labels: NDArray[Any], number: int) -> int:
    """How many corners of the image have that label."""
    return (labels[0, 0], labels[0, -1], labels[-1, 0], labels[-1, -1]).count(number)


def _inside(line: Mask, whole: Mask, side: Mask) -> Mask | None:
    """The inside of a box, if there is a digit in it."""
    inside = np.asarray(whole - line, np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    if len(boxes) == 1:
        return None
    largest = 1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())
    inner = _filled(np.asarray(labels == largest, np.uint8))
    if boxes[largest, cv2.CC_STAT_AREA] <= inside.sum() / 2:
        return None
    _, _, digits, _ = cv2.connectedComponentsWithStats(np.asarray(side & inner, np.uint8))
    tallest = digits[1:, cv2.CC_STAT_HEIGHT].max(initial=0)
    return inner if tallest >= DIGIT * boxes[largest, cv2.CC_STAT_HEIGHT] else None


def _is_sharp(gray: Gray, sheet: Mask) -> bool:
    """Whether the sheet differs from its surroundings by a step, and not gradually."""
    around = (cv2.morphologyEx(sheet, cv2.MORPH_GRADIENT, _NEIGHBOURS) > 0) & (sheet == 0)
    inner = cv2.erode(sheet, _NEIGHBOURS) > 0
    if not around.any() or not inner.any():
        return False
    apart = abs(float(np.median(gray[inner])) - float(np.median(gray[around])))
    steps = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, _NEIGHBOURS)[around]
    return apart >= APART and float(np.median(steps)) >= SHARP * apart


def _only(raster: Raster, sheet: Mask, paper: NDArray[Any]) -> Raster:
    height, width = raster.shape[:2]
    # The soft edge of the sheet goes with its surroundings.
    inner = cv2.erode(sheet, _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    large = cv2.resize(inner * np.uint8(255), (width, height), interpolation=cv2.INTER_LINEAR)
    kept = (large == 255).astype(np.uint8)
    only = raster.copy()
    only[kept == 0] = np.asarray(paper, np.uint8)
    left, top, width, height = cv2.boundingRect(kept)
    return np.ascontiguousarray(only[top : top + height, left : left + width])


def _pieces_at_border(side: Mask) -> int:
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(side, connectivity=4)
    large = boxes[:, cv2.CC_STAT_AREA] >= SPECK * side.size
    large[0] = False
    return int(large[np.unique(np.concatenate(_edges(labels)))].sum())


def _edges(pixels: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]
