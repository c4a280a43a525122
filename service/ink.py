"""Any picture of a digit -> what MNIST looks like.

    gray (h, w) --paper--> ink (h, w) --crop, longest side to 20, centre by mass--> (28, 28)

MNIST was made this way from scanned forms, and a network that learned from it expects no other: a
digit in the corner or a thin pen costs tens of points of accuracy otherwise. A 28x28 picture that
already looks like MNIST passes through untouched, so nothing is done twice.
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]  # (h, w), 0 = black, 255 = white
Pixels = NDArray[np.uint8]  # (28, 28), 0 = paper, 255 = ink
Ink = Literal["auto", "on", "off"]

SIDE, BOX = 28, 20  # pixels of the sheet, and of the digit's longest side on it
CONTRAST = 32  # between paper and the strongest ink; less is noise on an empty sheet
OFF_CENTRE = 2.0  # pixels; the 70,000 digits of MNIST lie within 1 of the middle

_ALONG = np.arange(SIDE, dtype=np.float32)
# A picture as a row times this: its mass, and its sums over x and y times mass.
_MOMENTS = np.stack(
    [np.ones(SIDE * SIDE), np.tile(_ALONG, SIDE), np.repeat(_ALONG, SIDE)], 1
).astype(np.float32)  # (784, 3)
_BORDER = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2)), 1, constant_values=1))  # (108,)


class Blank(Exception):
    """There is nothing on the picture that could be a digit."""


def are_mnist(sheets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Of each picture (n, 28, 28), whether `as_mnist` would beyond doubt return it as it is:
    nothing on its border, ink, and that centred.

    Costs 1 us a picture where n is 64; `as_mnist` comes to the same in 20.
    """
    rows = sheets.reshape(len(sheets), -1)  # (n, 784)
    mass, x, y = (rows.astype(np.float32) @ _MOMENTS).T  # (n,) each
    middle, off = (SIDE - 1) / 2 * mass, OFF_CENTRE * mass
    centred = (np.abs(x - middle) <= off) & (np.abs(y - middle) <= off)
    found: NDArray[np.bool_] = centred & (rows.max(1) >= CONTRAST) & ~rows.take(_BORDER, 1).any(1)
    return found


def _gray(raster: Gray) -> Gray:
    """Until `ink` takes a raster: transparent parts become paper, of the colour that ink is not."""
    if raster.ndim == 2:
        return raster
    alpha = raster.shape[2] == 4
    gray: Any = cv2.cvtColor(raster, cv2.COLOR_BGRA2GRAY if alpha else cv2.COLOR_BGR2GRAY)
    if alpha:
        opaque = raster[:, :, 3]
        on_black: Any = cv2.multiply(gray, opaque, scale=1 / 255)  # (h, w) uint8
        dark = on_black.sum() * 255.0 <= 128.0 * opaque.sum(dtype=np.float64)
        gray = on_black + (255 - opaque) if dark else on_black
    laid: Gray = gray
    return laid


def as_mnist(raster: Gray, how: Ink = "auto") -> Pixels:
    """The digit on a picture, white on black, 20 pixels high or wide, centred by mass in 28x28."""
    gray = _gray(raster)
    paper = float(np.median(_border(gray)))
    lightest, darkest = float(gray.max()), float(gray.min())
    if max(lightest - paper, paper - darkest) < CONTRAST:
        raise Blank("the picture is blank: nothing on it stands out from the background")
    on_black = lightest - paper > paper - darkest
    if gray.shape == (SIDE, SIDE) and on_black and _is_centred(gray):
        return gray
    # In bytes throughout: a photo as floats would take four times the memory.
    level = np.uint8(paper)
    ink = np.maximum(gray, level) - level if on_black else level - np.minimum(gray, level)  # (h, w)
    full: Any = cv2.convertScaleAbs(ink, alpha=255 / float(ink.max()))
    return _centred(_boxed(full))


def _border(gray: Gray) -> Gray:
    """The outermost pixels: paper, but for a stroke that leaves the sheet."""
    return np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])


def _is_centred(ink: Gray) -> bool:
    x, y = _centre_of_mass(ink)
    middle = (SIDE - 1) / 2
    return abs(x - middle) <= OFF_CENTRE and abs(y - middle) <= OFF_CENTRE


def _boxed(ink: Gray) -> Gray:
    """The ink's bounding box, resized so that its longest side is 20 pixels, antialiased."""
    level, _ = cv2.threshold(ink, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    paper, pen = ink[ink <= level].mean(), ink[ink > level].mean()
    # A quarter of the way up: noise of the paper ends there, soft edges of the stroke stay.
    ink = np.where(ink > paper + (pen - paper) / 4, ink, 0).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(ink)
    digit = ink[top : top + height, left : left + width]
    scale = BOX / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrinks = scale < 1
    sized = cv2.resize(digit, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    # Averaging lowers the peaks of fine strokes: bring them back to full ink.
    full: Gray = np.clip(sized * (255.0 / max(1, sized.max())), 0, 255).astype(np.uint8)
    return full


def _centred(digit: Gray) -> Pixels:
    """On a 28x28 sheet, the centre of mass as near the middle as whole pixels allow."""
    height, width = digit.shape
    x, y = _centre_of_mass(digit)
    middle = (SIDE - 1) / 2
    left = min(max(round(middle - x), 0), SIDE - width)
    top = min(max(round(middle - y), 0), SIDE - height)
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    sheet[top : top + height, left : left + width] = digit
    return sheet


def _centre_of_mass(ink: Gray) -> tuple[float, float]:
    """x and y in pixels from the top left pixel's middle; sides of at most 28 pixels."""
    columns = ink.sum(0, dtype=np.float32)  # (w,)
    rows = ink.sum(1, dtype=np.float32)  # (h,)
    mass = float(columns.sum())
    return (
        float(columns @ _ALONG[: len(columns)]) / mass,
        float(rows @ _ALONG[: len(rows)]) / mass,
    )
