"""Normalises any image of a digit to the form of MNIST.

    raster --alpha or paper--> ink --crop--> digit --stroke--> 20 long --centre--> (28, 28)

MNIST was made in this way from scanned forms, and a network that was trained on it expects the
same: otherwise a digit in the corner, a shadow or a thin pen costs tens of points of accuracy. A
28x28 image that already looks like MNIST is returned unchanged. docs/explanation/ink.md explains
each step and its effect.
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from preprocessing.decoder import Raster
from preprocessing.digits.background import CONTRAST, Ink, separate_ink
from preprocessing.digits.segmentation import crop_digit
from preprocessing.digits.sheet import without_surroundings
from preprocessing.digits.stroke import normalize_stroke

Pixels = NDArray[np.uint8]  # (n, 28, 28), 0 = paper, 255 = ink
Gray = NDArray[np.uint8]  # (h, w)
Sheet = NDArray[np.uint8]  # (28, 28), 0 = paper, 255 = ink
# Normalise images that do not look like MNIST, all images, or none.
InkMode = Literal["auto", "on", "off"]

FULL = 250  # level of the ink; MNIST's edges are softer, those of bitmaps drawn by programs are not
OFF_CENTRE = 2.0  # pixels; the 70,000 digits of MNIST are within 1 of the centre
MIDDLE = 14.0  # pixels, MNIST's centres of mass: half a pixel off the geometric centre
OPAQUE = 128  # alpha
FEWEST, VARIED = 4, 0.0005  # pixels, and share, of another colour: a thin digit on a large sheet
SOLID = 0.9  # of its convex hull: a sheet on a transparent canvas
AT_ONCE = 128  # images of 28x28

_ALONG = np.arange(SIDE, dtype=np.float32)
# An image as a row, times this matrix: its mass, and the sums of x and y weighted by mass.
_MOMENTS = np.stack(
    [np.ones(SIDE * SIDE), np.tile(_ALONG, SIDE), np.repeat(_ALONG, SIDE)], 1
).astype(np.float32)  # (784, 3)
_BORDER = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2)), 1, constant_values=1))  # (108,)


class Blank(Exception):
    """There is nothing on the image that could be a digit."""


def are_normalized(sheets: Pixels) -> list[bool]:
    """Whether `normalize_digit` would return each image (n, 28, 28) unchanged.

    Images with an empty border, as nearly all of MNIST's, are checked together: for n = 64 this
    takes 0.5 us each, while one alone takes 8.
    """
    if len(sheets) == 1:
        return [_looks_like_mnist(sheets[0])]
    if len(sheets) > AT_ONCE:  # arrays of more would not fit into the caches
        parts = range(0, len(sheets), AT_ONCE)
        return [each for at in parts for each in are_normalized(sheets[at : at + AT_ONCE])]
    rows = sheets.reshape(len(sheets), -1)  # (n, 784)
    mass, x, y = (rows.astype(np.float32) @ _MOMENTS).T  # (n,) each
    middle, off = (SIDE - 1) / 2 * mass, OFF_CENTRE * mass
    centred = (np.abs(x - middle) <= off) & (np.abs(y - middle) <= off)
    gray = (rows - np.uint8(1) < FULL - 1).any(1)  # paper, 0, becomes 255
    found: NDArray[np.bool_] = (
        centred & gray & (rows.max(1) >= CONTRAST) & ~rows.take(_BORDER, 1).any(1)
    )
    unclear = centred & gray & ~found  # some of these have ink on the border
    for index in np.flatnonzero(unclear).tolist():
        found[index] = _looks_like_mnist(sheets[index])
    answers: list[bool] = found.tolist()
    return answers


def normalize_digit(raster: Raster, ink: InkMode = "auto") -> Sheet:
    """The digit on an image, white on black, 20 pixels high or wide, centred by mass in 28x28.

    Raises Blank if there is none. With `ink` off, the image is only converted to grayscale and
    resized, for callers that normalise images themselves: 255 must be ink.
    """
    if ink == "off":
        return _only_resized(raster)
    raster = _without_redundant_channels(raster)
    if ink == "auto" and raster.shape == (SIDE, SIDE) and _looks_like_mnist(raster):
        return raster
    digit = crop_digit(_ink(raster))
    if digit is None:
        raise Blank("the image is blank: nothing on it stands out from the background")
    return center(normalize_stroke(digit))


def _only_resized(raster: Raster) -> Sheet:
    """Grayscale, 28x28. Transparent pixels are paper, which is black."""
    if raster.ndim == 3:
        gray: Any = cv2.cvtColor(raster[..., :3], cv2.COLOR_BGR2GRAY)
        if raster.shape[2] == 4:
            gray = cv2.multiply(gray, raster[..., 3], scale=1 / 255)
        raster = np.asarray(gray, np.uint8)
    if raster.shape == (SIDE, SIDE):
        return raster
    shrinks = min(raster.shape) > SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(raster, (SIDE, SIDE), interpolation=how), np.uint8)


def _without_redundant_channels(raster: Raster) -> Raster:
    """Without alpha if all pixels are opaque, without colours if all are gray."""
    if raster.ndim == 3 and raster.shape[2] == 4 and int(raster[..., 3].min()) == 255:
        raster = raster[..., :3]
    if raster.ndim == 3 and raster.shape[2] == 3:
        blue, green, red = cv2.split(raster)
        if np.array_equal(blue, green) and np.array_equal(green, red):
            return np.asarray(blue, np.uint8)
    return np.ascontiguousarray(raster)


def _looks_like_mnist(gray: Gray) -> bool:
    """Whether a 28x28 image has black paper and centred ink with soft edges."""
    # OpenCV where it can do it: a call of NumPy takes several times as long.
    if not cv2.countNonZero(cv2.inRange(gray, 1, FULL - 1)):
        return False
    inked = cv2.countNonZero(gray) - cv2.countNonZero(gray[1:-1, 1:-1])  # pixels of the border
    paper = 0.0
    if 2 * inked >= len(_BORDER) - 1:
        paper = float(np.median(gray.reshape(-1).take(_BORDER)))
    if paper >= CONTRAST or cv2.minMaxLoc(gray)[1] - paper < CONTRAST:
        return False
    mass, x, y = (gray.reshape(-1).astype(np.float32) @ _MOMENTS).tolist()
    middle, off = (SIDE - 1) / 2 * mass, OFF_CENTRE * mass
    return bool(abs(x - middle) <= off and abs(y - middle) <= off)


def _ink(raster: Raster) -> Ink:
    """The strength of the ink at each pixel, taken from alpha if the digit is drawn in alpha."""
    if raster.ndim == 3 and raster.shape[2] == 4:
        alpha = raster[..., 3]
        visible = raster[alpha >= OPAQUE][:, :3]
        if _is_drawn_in_alpha(alpha, visible):
            if int(alpha.max()) < CONTRAST:
                raise Blank("the image is blank: all of it is transparent")
            return np.ascontiguousarray(alpha)
        raster = raster[..., :3].copy()
        raster[alpha < OPAQUE] = np.median(visible, 0)
    ink = separate_ink(*without_surroundings(raster))
    if ink is None:
        raise Blank("the image is blank: nothing on it stands out from the background")
    return ink


def _is_drawn_in_alpha(alpha: Gray, visible: NDArray[np.uint8]) -> bool:
    """Whether the visible pixels are the ink, and not a sheet with ink on it.

    A sheet has several colours, and covers the image, or at least its own convex hull: nearly all
    that is visible is in one piece.
    """
    if not len(visible):
        return True
    apart = np.abs(visible.astype(np.int16) - np.median(visible, 0)).max(1)
    if np.count_nonzero(apart >= CONTRAST) < max(FEWEST, VARIED * len(visible)):
        return True
    if 2 * len(visible) >= alpha.size:
        return False
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((alpha >= OPAQUE).astype(np.uint8))
    largest = 1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())
    area = int(boxes[largest, cv2.CC_STAT_AREA])
    points: Any = cv2.findNonZero((labels == largest).astype(np.uint8))
    return area < SOLID * max(len(visible), cv2.contourArea(cv2.convexHull(points)))


def center(digit: Ink) -> Sheet:
    """A digit of at most 28x28 pixels, with its centre of mass in the middle of 28x28."""
    height, width = digit.shape
    x, y = _centre_of_mass(digit)
    left = min(max(round(MIDDLE - x), 0), SIDE - width)
    top = min(max(round(MIDDLE - y), 0), SIDE - height)
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    sheet[top : top + height, left : left + width] = digit
    return sheet


def _centre_of_mass(ink: Ink) -> tuple[float, float]:
    """x and y in pixels from the centre of the top left pixel; sides of at most 28 pixels."""
    columns = ink.sum(0, dtype=np.float32)  # (w,)
    rows = ink.sum(1, dtype=np.float32)  # (h,)
    mass = max(1.0, float(columns.sum()))
    return (
        float(columns @ _ALONG[: len(columns)]) / mass,
        float(rows @ _ALONG[: len(rows)]) / mass,
    )
