"""Decodes image files. Files that are too large or of an unknown format are not decoded.

    body --small PNG--> OpenCV ------------------------------------------+
         --first bytes--> format --header--> width, height --limits--> Pillow --> Raster

Raster   (h, w) gray, (h, w, 3) BGR or (h, w, 4) BGRA with straight alpha; uint8, upright, and
         reduced by a whole factor: for digits to sides of at most 256

OpenCV decodes a 28x28 PNG in 5 us where Pillow takes 60.
"""

import struct
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

from preprocessing.allocation import was_refused
from preprocessing.formats import (
    FOR_DIGITS,
    PNG,
    SIGNATURES,
    SMALL,
    NotAnImage,
    OpenedImage,
    Raster,
    Reduction,
    is_bomb,
    is_plain,
    open_image,
)
from preprocessing.unsupported import DAMAGED, UNKNOWN, has_lost_bytes, name_of

__all__ = [
    "SIGNATURES", "NotAnImage", "OpenedImage", "Raster", "TooManyPixels", "decode", "identify",
    "small_png",
]  # fmt: skip

PREPARING = 2**20  # bytes needed to normalise a raster

SMALL_SIDE = 2**8  # pixels
SMALL_FILE = 2**12  # bytes; their chunks are parsed in 0.1 ms
TINY_FILE = 2**9  # bytes; even if each inflates to a thousand, that takes only 0.5 ms. MNIST: 300
START, HEADER = 33, 41  # bytes of a PNG up to its second chunk, and to the end of its kind
_SIZE = struct.Struct(">16xIIB").unpack_from  # width, height and bits per sample
_AROUND = 57  # bytes of a PNG in addition to the data of its only other chunk

cv2.setNumThreads(1)  # images are small; a thread pool would only compete with the model's
# OpenCV's messages about bad images concern their sender. libpng and libtiff still report them.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class TooManyPixels(Exception):
    """More pixels would have to be decoded than the limit allows; nothing was decoded."""


def small_png(body: bytes, max_pixels: int, tiny: int = TINY_FILE) -> Raster | None:
    """The pixels of a PNG that is decoded in microseconds, as nearly all are; None for any other.

    The inflated length of files up to `tiny` bytes is not checked, because that takes 10 us. PNG is
    the only format whose header cannot give one size here and another one to the decoder.
    """
    size = len(body)
    beginning = _beginning(body[:HEADER], size, max_pixels)
    if beginning is None:
        return None
    # Libpng inflates all data, up to a thousandfold, whatever the size of the image.
    if size > tiny and is_bomb(body):
        return None
    if beginning == "one chunk" or is_plain(body):
        return _decoded(body)
    return None


@lru_cache(SMALL_FILE)  # the images of a client differ in little but their size
def _beginning(start: bytes, size: int, max_pixels: int) -> Literal["one chunk", "others"] | None:
    """What follows the header of a PNG of `size` bytes; None: the file is not small, or no PNG."""
    if not HEADER <= size <= SMALL_FILE or not start.startswith(PNG):
        return None
    width, height, bits = _SIZE(start)
    fits = 0 < width * height <= min(SMALL, max_pixels) and max(width, height) <= SMALL_SIDE
    if not fits or bits > 8:
        return None
    one = b"%bIDAT" % (size - _AROUND).to_bytes(4, "big")
    return "one chunk" if start[START:] == one else "others"


def identify(body: bytes, *, max_pixels: int, reduction: Reduction = FOR_DIGITS) -> OpenedImage:
    """The image in `body`, of which only the header is read; NotAnImage or TooManyPixels."""
    if not body.startswith(SIGNATURES):
        raise NotAnImage(name_of(body) or UNKNOWN)
    if has_lost_bytes(body):
        raise NotAnImage(DAMAGED)
    opened = open_image(body, reduction)
    if opened.width < 1 or opened.height < 1:
        raise NotAnImage("the image's header is damaged: it gives no width and height")
    if opened.pixels > max_pixels:
        raise TooManyPixels(
            f"the image has {opened.width} x {opened.height} pixels, more than the "
            f"{max_pixels:,} allowed (DIGITSERVE_MAX_PIXELS); send a smaller one"
        )
    memory = opened.memory + PREPARING + reduction.memory(opened[:2])
    return opened._replace(memory=memory)


def decode(body: bytes, *, max_pixels: int, reduction: Reduction = FOR_DIGITS) -> Raster:
    """The pixels of any image file; NotAnImage or TooManyPixels."""
    raster = small_png(body, max_pixels)
    if raster is None:
        return identify(body, max_pixels=max_pixels, reduction=reduction).raster()
    return raster


def _decoded(png: bytes) -> Raster:
    was_refused()  # resets the flag
    samples: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        if was_refused():
            raise MemoryError("there was no memory to decode an image")
        raise NotAnImage("the image is damaged or incomplete: it cannot be decoded")
    raster: Raster = samples
    return raster
