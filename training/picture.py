"""Files, Pillow images, arrays and tensors of a digit -> what the network has learned to see.

    file, PIL image, array or tensor --> raster --preprocessing--> (28, 28)

The preparation is `preprocessing`'s, which the service runs on what it is sent: here is only how
each kind of picture is read.
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

Pixels = NDArray[np.uint8]  # (28, 28), 0 = paper, 255 = ink

MAX_PIXELS = 10**8  # of a file; a raster takes up to 20 bytes for each


class BadPicture(ValueError):
    """What was given is no picture of a digit; the message says what it is."""


def as_pixels(picture: Any) -> Pixels:
    """A picture as a path, a PIL image, an array or a tensor, as the network has learned to see it.

    Arrays and tensors are (h, w), (1, h, w) or (h, w, 1) gray, (h, w, 3) or (3, h, w) in colour;
    whole numbers are 0..255, fractions 0..1.
    """
    try:
        return normalize_digit(_raster(picture))
    except (Blank, NotAPicture) as error:
        raise BadPicture(str(error)) from error


def _raster(picture: Any) -> Raster:
    if isinstance(picture, (str, Path)):
        return _file(Path(picture))
    if isinstance(picture, Image.Image):
        return raster_of(picture)
    if isinstance(picture, Tensor):
        picture = picture.detach().cpu().numpy()
    return _array(np.asarray(picture))


def _file(path: Path) -> Raster:
    try:
        return decode(path.read_bytes(), max_pixels=MAX_PIXELS)
    except (NotAPicture, TooManyPixels) as error:
        raise BadPicture(f"{path} is no readable picture: {error}") from error


def _array(array: NDArray[Any]) -> Raster:
    shape = array.shape
    if array.ndim == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)  # (h, w, c)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]  # (h, w)
    if 0 in shape or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise BadPicture(f"an array of shape {shape} is no picture: (h, w), (h, w, 3) or (3, h, w)")
    if array.dtype.kind == "f":
        array = array * 255
    if array.dtype.kind not in "uif" or not (array.min() >= 0 and array.max() <= 255.5):
        raise BadPicture(
            f"an array of {array.dtype} from {array.min()} to {array.max()} is no picture: "
            "whole numbers are 0..255, fractions 0..1"
        )
    return raster_of(Image.fromarray(np.round(array).astype(np.uint8)))
