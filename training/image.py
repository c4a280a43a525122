"""Reads images from files, Pillow images, arrays and tensors.

    file, PIL image, array or tensor --> raster --preprocessing--> (h, w) or (h, w, 3) RGB

Images are prepared by `preprocessing`, as in the service. This module only reads each kind of
input.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from contract.card import SIDE, DigitPreparation
from preprocessing.decoder import NotAnImage, Raster, TooManyPixels, decode, identify
from preprocessing.digits.normalize import Blank
from preprocessing.formats import FOR_DIGITS, Reduction, raster_of
from preprocessing.preparation import Pixels, Preparer, preparer_of
from training.model import DEVIATION, MEAN

DIGITS = preparer_of(DigitPreparation(), (SIDE, SIDE))
TEN_DIGITS = tuple("0123456789")  # the labels of MNIST

BLACK, WHITE = -MEAN / DEVIATION, (1 - MEAN) / DEVIATION  # normalised
# A pixel is coloured if its channels differ by so many levels, and by so much of the brightest one.
# Less is the tint of paper or light, or what remains of a camera's noise in a smaller copy.
COLOURED, TINTED = 32, 1 / 6
COLOURED_SHARE = 1 / 1000  # of the visible pixels, as of a small sign in a corner
COPY = 128  # pixels, the longer side of that copy
FOR_CLIENTS = re.compile("[:;] send .*", re.DOTALL)  # what clients of the service are advised
MAX_PIXELS = 10**8  # of a file; decoding takes up to 20 bytes for each


class BadImage(ValueError):
    """The input is not an image, or holds no digit where one is expected; the message says why."""


def as_pixels(image: Any, prepare: Preparer = DIGITS, labels: Sequence[str] = TEN_DIGITS) -> Pixels:
    """The pixels that a network expects, from a path, a PIL image, an array or a tensor.

    `prepare` and `labels` are the network's; without them, images are prepared as digits. Arrays
    and tensors are (h, w), (1, h, w) or (h, w, 1) for grayscale and (h, w, 3) or (3, h, w) for RGB;
    of a batch of one, the first axis is left out. Integers are 0..255, floats 0..1. If the labels
    are the ten digits, gray floats may also be normalised to mean 0 and deviation 1, as
    torchvision's Normalize((0.1307,), (0.3081,)) makes them of MNIST. BadImage if the input is none
    of these.
    """
    for_digits = prepare.preparation.kind == "digit" and tuple(labels) == TEN_DIGITS
    try:
        return prepare(_raster(image, prepare, for_digits=for_digits))
    except (Blank, NotAnImage) as error:
        raise BadImage(str(error)) from error


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file, as stored; BadImage names the file."""
    with _naming(path):
        found = identify(path.read_bytes(), max_pixels=MAX_PIXELS)
    return found.height, found.width


def read_raster(path: Path, reduction: Reduction = FOR_DIGITS) -> Raster:
    """The pixels of an image file; BadImage names the file, OSError if it cannot be opened."""
    with _naming(path):
        return decode(path.read_bytes(), max_pixels=MAX_PIXELS, reduction=reduction)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except NotAnImage as error:
        fault = FOR_CLIENTS.sub("", str(error))
        raise BadImage(f"{path} is not a readable image: {fault}") from error
    except TooManyPixels as error:
        raise BadImage(
            f"{path} has more than {MAX_PIXELS:,} pixels: make a smaller copy of it"
        ) from error


def has_colours(raster: Raster) -> bool:
    """Whether one visible pixel in a thousand is not nearly gray."""
    if raster.ndim == 2:
        return False
    if (factor := max(raster.shape[:2]) / COPY) > 1:
        height, width = (max(1, round(side / factor)) for side in raster.shape[:2])
        raster = cv2.resize(raster, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    blue, green, red = (raster[..., channel] for channel in range(3))
    highest, lowest = (each(each(blue, green), red) for each in (np.maximum, np.minimum))
    coloured = highest - lowest >= np.maximum(COLOURED, highest * TINTED)
    if raster.shape[2] == 4:
        coloured &= raster[..., 3] >= 128
    return bool(coloured.mean() >= COLOURED_SHARE)


def _raster(image: Any, prepare: Preparer, *, for_digits: bool) -> Raster:
    if isinstance(image, (str, Path)):
        return read_raster(Path(image), prepare.reduction)
    if isinstance(image, Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, Image.Image):
        image = _image(np.asarray(image), for_digits=for_digits)
    return raster_of(image, prepare.reduction)


def _image(array: NDArray[Any], *, for_digits: bool) -> Image.Image:
    shape = array.shape
    if array.ndim == 4 and shape[0] == 1:
        return _image(array[0], for_digits=for_digits)
    if array.ndim == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)  # (h, w, c)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]  # (h, w)
    if 0 in shape or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise BadImage(f"an array of shape {shape} is not (h, w), (h, w, 3) or (3, h, w)")
    given = array
    for_digits = for_digits and array.ndim == 2
    if array.dtype.kind == "f":
        normalised = np.isclose(array.min(), BLACK, atol=0.01) and array.max() <= WHITE + 0.01
        if for_digits and normalised:
            array = array * DEVIATION + MEAN
        array = array * 255
    if array.dtype.kind not in "uif" or not (array.min() >= -0.5 and array.max() <= 255.5):
        digits = ", or from -0.42 to 2.82 if they are normalised as MNIST's" if for_digits else ""
        raise BadImage(
            f"an array of {given.dtype} from {given.min():.5g} to {given.max():.5g} is not an "
            f"image: integers must be 0..255, floats 0..1{digits}"
        )
    return Image.fromarray(np.round(array).clip(0, 255).astype(np.uint8))
