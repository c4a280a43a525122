"""Normalises the width of a digit's strokes to that of MNIST's.

    digit (h, w) --enlarge to 80, dilate or erode--> --shrink--> (20, <= 20) or (<= 20, 20)

Widths are in pixels of the result, where the digit is 20 long. By the same measure, the strokes of
90 % of MNIST's training digits are between 2.1 and 4.5 wide, of one half between 2.5 and 3.4.
"""

from typing import Any

import cv2
import numpy as np

from preprocessing.digits.background import Ink, above, resized

BOX = 20  # pixels of the digit's longest side
FINE = 4  # fine pixels per pixel, in which strokes are measured and changed
THINNEST, WIDEST = 2.3, 4.2  # bounds of the resulting widths
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
    """The width in pixels: a quarter of a bar's width is the mean distance to its nearest edge."""
    inside = cv2.copyMakeBorder(above(ink, 127), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    if not cv2.countNonZero(inside):
        return 0.0
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 4 * cv2.mean(distance, inside)[0]


def _grown(ink: Ink, grow: int) -> Ink:
    """Dilated by `grow` pixels, or eroded if it is negative, and cropped."""
    side = 2 * abs(grow) + 1
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    # Enlarged edges are soft: without sharpening they would move by their softness, not `grow`.
    sheet = np.pad(_SHARPER[ink], MARGIN + abs(grow))
    changed: Any = cv2.dilate(sheet, pen) if grow > 0 else cv2.erode(sheet, pen)
    left, top, width, height = cv2.boundingRect((changed > 48).astype(np.uint8))
    if width == 0:  # nothing is left of it
        return ink
    return np.asarray(changed[top : top + height, left : left + width], np.uint8)
