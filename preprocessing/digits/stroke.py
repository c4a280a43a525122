"""The width of a digit's strokes, and a digit with strokes as wide as MNIST's.

    digit (h, w) --enlarge to 80, dilate or erode--> --shrink--> (20, <= 20) or (<= 20, 20)

Widths are in pixels of the sheet, where the digit is 20 long. Of MNIST's training digits 90 % are
between 2.1 and 4.5 wide, half between 2.5 and 3.4, by the same measure.
"""

from typing import Any

import cv2
import numpy as np

from preprocessing.digits.background import Ink

BOX = 20  # pixels of the digit's longest side on the sheet
FINE = 4  # fine pixels for each of the sheet, where strokes are measured and changed
THINNEST, WIDEST = 2.3, 4.2  # what thinner and wider strokes are brought to
MARGIN = 8  # fine pixels around the digit, into which it may grow

_SHARPER = np.clip((np.arange(256) - 64) * 2, 0, 255).astype(np.uint8)  # of each level


def normalize_stroke(digit: Ink) -> Ink:
    """The digit, 20 pixels long, with strokes of between THINNEST and WIDEST."""
    fine = resized(digit, BOX * FINE)
    width = stroke_width(fine) / FINE
    wanted = min(max(width, THINNEST), WIDEST)
    # Growing by d on either side and then shrinking to 20 again leaves (w + 2 d) * 20 / (20 + 2 d).
    grow = round(FINE * (wanted - width) / (2 - wanted / (BOX / 2)))
    if grow == 0:
        return resized(digit, BOX)
    return resized(_grown(fine, grow), BOX)


def stroke_width(ink: Ink) -> float:
    """In pixels: in a bar, the mean distance to its nearest edge is a quarter of its width."""
    inside = np.pad((ink > 127).astype(np.uint8), 1)
    if not inside.any():
        return 0.0
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 4 * float(distance[inside > 0].mean())


def resized(ink: Ink, longest: int) -> Ink:
    """Antialiased, so that the longest side is as long as that."""
    height, width = ink.shape
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, size, interpolation=how), np.uint8)


def _grown(ink: Ink, grow: int) -> Ink:
    """Wider by `grow` pixels on every side, or narrower where that is negative; cut to its box."""
    side = 2 * abs(grow) + 1
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    # Enlarged edges are soft, and would be moved by how soft they are rather than by `grow`.
    sheet = np.pad(_SHARPER[ink], MARGIN + abs(grow))
    changed: Any = cv2.dilate(sheet, pen) if grow > 0 else cv2.erode(sheet, pen)
    left, top, width, height = cv2.boundingRect((changed > 48).astype(np.uint8))
    if width == 0:  # nothing is left of it
        return ink
    return np.asarray(changed[top : top + height, left : left + width], np.uint8)
