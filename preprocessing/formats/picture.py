"""What every format is opened as, and the one way into OpenCV.

Raster   (h, w) gray, (h, w, 3) BGR or (h, w, 4) BGRA with straight alpha; uint8, upright
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocessing.allocation import was_refused

Raster = NDArray[np.uint8]
Samples = NDArray[Any]  # a raster, but of 8 or 16 bits

# All of these at once leave the pixels as they are, as IMREAD_UNCHANGED does, but turn the picture
# upright, which IMREAD_UNCHANGED does not.
UPRIGHT = cv2.IMREAD_COLOR | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH

cv2.setNumThreads(1)  # a picture is small; a thread pool of its own would only fight the model's
# What OpenCV has to say of a bad picture is its sender's affair; libpng and libjpeg still say it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


COPIES = 2  # of the samples: OpenCV's own, and the array that it is copied into


class NotAPicture(Exception):
    """The bytes are no picture of a known format, a damaged one, or one we do not decode."""


class Picture(NamedTuple):
    """A picture file whose header has been read and whose pixels have not."""

    width: int  # pixels, as stored: before it is turned upright
    height: int
    raster: Callable[[], Raster]  # decodes; NotAPicture if it is damaged
    memory: int  # bytes that decoding takes at most, the raster and copies of the body included


def decoded(body: bytes | bytearray, flags: int = UPRIGHT) -> Samples:
    """What OpenCV makes of a file, of 8 or 16 bits."""
    try:
        samples: Any = cv2.imdecode(np.frombuffer(body, np.uint8), flags)
    except cv2.error:  # some decoders answer None to a damaged picture, others raise
        samples = None
    if samples is None:
        if was_refused():
            raise MemoryError("there was no memory to decode a picture")
        raise NotAPicture("the picture is damaged or incomplete: it cannot be decoded")
    if samples.dtype.char not in "BH":  # a tenth of what comparing types would cost
        raise NotAPicture(f"pixels of type {samples.dtype} are not supported: use 8 or 16 bits")
    found: Samples = samples
    return found


def of_8_bits(samples: Samples) -> Raster:
    """The same, rounded; at its peak it takes three times the raster's memory."""
    if samples.itemsize == 1:
        return samples
    rounded: Any = cv2.convertScaleAbs(samples, alpha=1 / 257)
    raster: Raster = rounded
    return raster
