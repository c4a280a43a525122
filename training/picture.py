"""Any picture of a digit -> what MNIST looks like, as the service does it to what it is sent.

    file, PIL image, array or tensor --> gray (h, w) --> ink, cropped, centred --> (28, 28)

A 28x28 picture that already looks like MNIST, light on black and centred by mass, passes through
untouched. The service has more of this in OpenCV (service/ink.py), because it must be fast and must
not import training. A test holds the two together on clean sheets: one light, one pen, no grain.
Colours that are equally light, shadows, ruled paper and white pens on transparent sheets are the
service's alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from contract.card import SIDE
from training.width import as_wide

Gray = NDArray[np.uint8]  # (h, w), 0 = black, 255 = white
Pixels = NDArray[np.uint8]  # (28, 28), 0 = paper, 255 = ink

BOX = 20  # pixels of the digit's longest side on the sheet
CONTRAST = 32  # between paper and the strongest ink; less is noise on an empty sheet
MIDDLE = 14.0  # pixels, where MNIST has its centres of mass: half a pixel off the sheet's own
OFF_CENTRE = 2.0  # pixels; the 70,000 digits of MNIST lie within 1 of the middle


class BadPicture(ValueError):
    """What was given is no picture of a digit; the message says what it is."""


def as_pixels(picture: Any) -> Pixels:
    """A picture as a path, a PIL image, an array or a tensor, as the network has learned to see it.

    Arrays and tensors are (h, w), (1, h, w) or (h, w, 1) gray, (h, w, 3) or (3, h, w) in colour;
    whole numbers are 0..255, fractions 0..1.
    """
    return as_mnist(_gray(picture))


def as_mnist(gray: Gray) -> Pixels:
    """The digit on a picture, white on black, 20 pixels high or wide, centred by mass in 28x28."""
    paper = float(np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])))
    lightest, darkest = float(gray.max()), float(gray.min())
    if max(lightest - paper, paper - darkest) < CONTRAST:
        raise BadPicture("it is blank: nothing on it stands out from the background")
    on_black = lightest - paper > paper - darkest
    if gray.shape == (SIDE, SIDE) and on_black and paper < CONTRAST and _is_centred(gray):
        return gray
    ink = gray - paper if on_black else paper - gray.astype(np.float64)
    ink = np.clip(ink, 0, None)
    return centred(_boxed(np.round(ink * (255 / ink.max()))))


def centred(digit: NDArray[Any]) -> Pixels:
    """`digit` (h, w) of at most 28 pixels on a 28x28 sheet, its centre of mass in the middle."""
    height, width = digit.shape
    x, y = _centre_of_mass(digit)
    left = int(np.clip(round(MIDDLE - x), 0, SIDE - width))
    top = int(np.clip(round(MIDDLE - y), 0, SIDE - height))
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    sheet[top : top + height, left : left + width] = digit
    return sheet


def _gray(picture: Any) -> Gray:
    if isinstance(picture, (str, Path)):
        return _file(Path(picture))
    if isinstance(picture, Image.Image):
        return _image(picture)
    if isinstance(picture, Tensor):
        picture = picture.detach().cpu().numpy()
    return _array(np.asarray(picture))


def _file(path: Path) -> Gray:
    try:
        with Image.open(path) as image:
            return _image(image)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file raises nearly anything
        raise BadPicture(f"{path} is no readable picture ({error})") from error


def _image(image: Image.Image) -> Gray:
    """Upright, and on white where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        return _array(np.asarray(image, np.float64) / 65535)
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        sheet = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(sheet, image)
    return np.asarray(image.convert("L"))


def _array(array: NDArray[Any]) -> Gray:
    shape = array.shape
    if array.ndim == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)  # (h, w, c)
    if array.ndim == 3 and array.shape[2] in (1, 3):
        weights = np.array([1.0]) if array.shape[2] == 1 else np.array([0.299, 0.587, 0.114])
        whole = array.dtype.kind in "ui"
        array = array @ weights  # (h, w)
        array = np.round(array).astype(np.int64) if whole else array
    if array.ndim != 2 or 0 in array.shape:
        raise BadPicture(f"an array of shape {shape} is no picture: (h, w), (h, w, 3) or (3, h, w)")
    if array.dtype.kind == "f":
        array = array * 255
    if array.dtype.kind not in "uif" or not (array.min() >= 0 and array.max() <= 255.5):
        raise BadPicture(
            f"an array of {array.dtype} from {array.min()} to {array.max()} is no picture: "
            "whole numbers are 0..255, fractions 0..1"
        )
    return np.round(array).astype(np.uint8)


def _is_centred(ink: Gray) -> bool:
    x, y = _centre_of_mass(ink)
    middle = (SIDE - 1) / 2
    return abs(x - middle) <= OFF_CENTRE and abs(y - middle) <= OFF_CENTRE


def _boxed(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ink's bounding box, resized so that its longest side is 20 pixels, antialiased."""
    level = _otsu(ink)
    paper, pen = ink[ink <= level].mean(), ink[ink > level].mean()
    # A quarter of the way up: noise of the paper ends there, soft edges of the stroke stay.
    ink = np.where(ink > paper + (pen - paper) / 4, ink, 0)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    digit = as_wide(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], _resized)
    # Averaging lowers the peaks of fine strokes: bring them back to full ink.
    full: NDArray[np.float64] = np.clip(digit * (255 / max(1.0, float(digit.max()))), 0, 255)
    return full


def _resized(digit: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    scale = longest / max(digit.shape)
    height, width = (max(1, round(size * scale)) for size in digit.shape)
    sized: NDArray[np.float64] = (
        _shares(height, digit.shape[0]) @ digit @ _shares(width, digit.shape[1]).T
    )
    return sized


def _shares(after: int, before: int) -> NDArray[np.float64]:
    """What part of each of `after` pixels comes from each of `before`, (after, before).

    Shrinking, by the area that they share; enlarging, linearly between the two nearest.
    """
    scale = before / after
    place = np.arange(before)
    if scale > 1:
        begin = np.arange(after)[:, None] * scale
        shared = np.minimum(begin + scale, place + 1) - np.maximum(begin, place)
    else:
        middle = np.clip((np.arange(after)[:, None] + 0.5) * scale - 0.5, 0, before - 1)
        shared = 1 - np.abs(middle - place)
    shared = np.clip(shared, 0, None)
    shares: NDArray[np.float64] = shared / shared.sum(1, keepdims=True)
    return shares


def _otsu(ink: NDArray[np.float64]) -> int:
    """The level that parts paper from pen best: the one with the largest variance between them."""
    counts = np.bincount(ink.astype(np.uint8).ravel(), minlength=256)  # (256,)
    levels = np.arange(256)
    below, mass = counts.cumsum(), (counts * levels).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = mass / below - (mass[-1] - mass) / above
        between = np.nan_to_num(below * above * apart**2, posinf=0)
    return int(between.argmax())


def _centre_of_mass(ink: NDArray[Any]) -> tuple[float, float]:
    """x and y in pixels from the top left pixel's middle."""
    columns, rows = ink.sum(0, dtype=np.float64), ink.sum(1, dtype=np.float64)
    mass = columns.sum()
    return (
        float(columns @ np.arange(len(columns)) / mass),
        float(rows @ np.arange(len(rows)) / mass),
    )
