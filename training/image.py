"""Reads images of digits from files, Pillow images, arrays and tensors.

    file, PIL image, array or tensor --> raster --preprocessing--> (28, 28)

Images are prepared by `preprocessing`, as in the service. This module only reads each kind of
input.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from preprocessing.decoder import NotAPicture, Raster, TooManyPixels, decode
from preprocessing.digits.normalize import Blank, normalize_digit
from preprocessing.formats import raster_of
from training.model import DEVIATION, MEAN

Pixels = NDArray[np.uint8]  # (28, 28), 0 = paper, 255 = ink

BLACK, WHITE = -MEAN / DEVIATION, (1 - MEAN) / DEVIATION  # normalised
COLOURED = 48  # between the channels of a pixel; less is the tint of paper or light
MAX_PIXELS = 10**8  # of a file; decoding takes up to 20 bytes for each


class BadImage(ValueError):
    """The input is not an image of a digit; the message gives the reason."""


def as_pixels(image: Any) -> Pixels:
    """The pixels that a network expects, from a path, a PIL image, an array or a tensor.

    Arrays and tensors are (h, w), (1, h, w) or (h, w, 1) for grayscale and (h, w, 3) or (3, h, w)
    for RGB; of a batch of one, the first axis is left out. Integers are 0..255, floats 0..1, or
    MNIST's digits normalised to mean 0 and deviation 1, as torchvision's Normalize((0.1307,),
    (0.3081,)) makes them.
    """
    try:
        raster = _raster(image)
    except NotAPicture as error:
        raise BadImage(str(error)) from error
    return _normalized(raster)


def read_file(path: Path) -> tuple[Pixels, bool]:
    """`as_pixels` of an image file, and whether it has colours, which these pixels have not."""
    raster = _file(path)
    return _normalized(raster), _has_colours(raster)


def _normalized(raster: Raster) -> Pixels:
    try:
        return normalize_digit(raster)
    except Blank as error:
        raise BadImage(str(error)) from error


def _has_colours(raster: Raster) -> bool:
    """Whether one visible pixel in a hundred is not nearly gray."""
    if raster.ndim == 2:
        return False
    colours = raster[..., :3].astype(np.int16)
    distance = colours.max(2) - colours.min(2)
    if raster.shape[2] == 4:
        distance[raster[..., 3] < 128] = 0
    return bool((distance >= COLOURED).mean() >= 0.01)


def _raster(image: Any) -> Raster:
    if isinstance(image, (str, Path)):
        return _file(Path(image))
    if isinstance(image, Image.Image):
        return raster_of(image)
    if isinstance(image, Tensor):
        image = image.detach().cpu().numpy()
    return _array(np.asarray(image))


def _file(path: Path) -> Raster:
    try:
        return decode(path.read_bytes(), max_pixels=MAX_PIXELS)
    except (NotAPicture, TooManyPixels) as error:
        raise BadImage(f"{path} is not a readable image: {error}") from error


def _array(array: NDArray[Any]) -> Raster:
    shape = array.shape
    if array.ndim == 4 and shape[0] == 1:
        return _array(array[0])
    if array.ndim == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)  # (h, w, c)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]  # (h, w)
    if 0 in shape or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise BadImage(f"an array of shape {shape} is not (h, w), (h, w, 3) or (3, h, w)")
    if array.dtype.kind == "f":
        if np.isclose(array.min(), BLACK, atol=0.01) and array.max() <= WHITE + 0.01:
            array = array * DEVIATION + MEAN
        array = array * 255
    if array.dtype.kind not in "uif" or not (array.min() >= -0.5 and array.max() <= 255.5):
        raise BadImage(
            f"an array of {array.dtype} from {array.min()} to {array.max()} is not an image: "
            "integers must be 0..255, floats 0..1, or from -0.42 to 2.82 if they are normalised"
        )
    return raster_of(Image.fromarray(np.round(array).clip(0, 255).astype(np.uint8)))
