"""Bytes of a picture file -> gray pixels, with nothing decoded that is too large or unknown.

    body --first bytes--> format --header--> width, height --bounds--> OpenCV --> (h, w) uint8

Gray is 0 = black, 255 = white, as the eye sees the picture; which of both is ink, `ink` decides.
OpenCV decodes a 28x28 PNG in 5 us where Pillow takes 60.
"""

import struct
from io import BytesIO
from typing import Any, NamedTuple

import cv2
import imagesize
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]  # (h, w), 0 = black, 255 = white
Raster = NDArray[np.uint8]  # (h, w) gray, (h, w, 3) BGR or (h, w, 4) BGRA

SMALL = 256 * 256  # pixels
SMALL_FILE = 2**16  # bytes; what else is in a larger one may take libpng long
PNG = b"\x89PNG\r\n\x1a\n"
HEADER = 24  # bytes of a PNG up to where its height ends
_WIDTH_HEIGHT = struct.Struct(">II").unpack_from
# The first bytes of each format, and what OpenCV must be asked for: a JPEG has no alpha channel,
# and only when asked for gray does OpenCV turn it as its EXIF orientation says.
FORMATS = {
    PNG: cv2.IMREAD_UNCHANGED,
    b"\xff\xd8\xff": cv2.IMREAD_GRAYSCALE,  # JPEG
    b"RIFF": cv2.IMREAD_UNCHANGED,  # WebP
    b"BM": cv2.IMREAD_UNCHANGED,  # BMP
    b"GIF8": cv2.IMREAD_UNCHANGED,
    b"II*\x00": cv2.IMREAD_UNCHANGED,  # TIFF, little-endian
    b"MM\x00*": cv2.IMREAD_UNCHANGED,  # TIFF, big-endian
}

cv2.setNumThreads(1)  # a picture is small; a thread pool of its own would only fight the model's
# What OpenCV has to say of a bad picture is its sender's affair; libpng and libjpeg still say it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class NotAPicture(Exception):
    """The bytes are no picture of a known format, or a damaged one."""


class TooManyPixels(Exception):
    """Width times height is over the limit; nothing was decoded."""


class Picture(NamedTuple):
    """A picture file whose header has been read and whose pixels have not."""

    body: bytes
    flags: int  # for OpenCV

    def raster(self) -> Raster:
        """Decode: gray, BGR or BGRA, upright."""
        colour = self.flags == cv2.IMREAD_GRAYSCALE  # a JPEG
        return _raster(self.body, cv2.IMREAD_COLOR if colour else self.flags)

    def gray(self) -> Gray:
        """Decode. Transparent parts become paper, whichever of black and white the ink is not."""
        return _decoded(self.body, self.flags)


def gray_of_small_png(body: bytes, max_pixels: int) -> Gray | None:
    """The pixels of a PNG that is decoded in microseconds, as nearly all are; None for any other.

    Of all formats only a PNG's header cannot say one size to us and another to the decoder.
    """
    if not body.startswith(PNG) or not HEADER <= len(body) <= SMALL_FILE:
        return None
    width, height = _WIDTH_HEIGHT(body, 16)
    return _decoded(body, FORMATS[PNG]) if 0 < width * height <= min(SMALL, max_pixels) else None


def small_png(body: bytes, max_pixels: int) -> Raster | None:
    """As `gray_of_small_png`, with its colours and its alpha."""
    if not body.startswith(PNG) or not HEADER <= len(body) <= SMALL_FILE:
        return None
    width, height = _WIDTH_HEIGHT(body, 16)
    return _raster(body, FORMATS[PNG]) if 0 < width * height <= min(SMALL, max_pixels) else None


def _raster(body: bytes, flags: int) -> Raster:
    try:
        decoded: Any = cv2.imdecode(np.frombuffer(body, np.uint8), flags)
    except cv2.error:  # some decoders answer None to a damaged picture, others raise
        decoded = None
    if decoded is None:
        raise NotAPicture("the picture is damaged or incomplete: it cannot be decoded")
    if decoded.dtype == np.uint16:
        decoded = (decoded >> 8).astype(np.uint8)
    if decoded.dtype != np.uint8:
        raise NotAPicture(f"pixels of type {decoded.dtype} are not supported: use 8 or 16 bits")
    raster: Raster = decoded
    return raster


def _decoded(body: bytes, flags: int) -> Gray:
    decoded = _raster(body, flags)
    gray: Any = decoded
    if decoded.ndim == 3:  # OpenCV has turned palettes and gray with alpha into colours
        alpha = decoded.shape[2] == 4
        gray = cv2.cvtColor(decoded, cv2.COLOR_BGRA2GRAY if alpha else cv2.COLOR_BGR2GRAY)
        if alpha:
            gray = _on_paper(gray, decoded[:, :, 3])
    pixels: Gray = gray
    return pixels


def identify(body: bytes, *, max_pixels: int) -> Picture:
    """What `body` is, from its header alone; NotAPicture or TooManyPixels if it is refused."""
    flags = next((flags for first, flags in FORMATS.items() if body.startswith(first)), None)
    if flags is None:
        raise NotAPicture("the body is no PNG, JPEG, WebP, BMP, GIF or TIFF")
    width, height = _size(body)
    if width < 1 or height < 1:
        raise NotAPicture("the picture's header is damaged: it gives no width and height")
    if width * height > max_pixels:
        raise TooManyPixels(
            f"the picture has {width} x {height} pixels, more than the {max_pixels:,} allowed "
            "(DIGITSERVE_MAX_PIXELS); send a smaller one"
        )
    return Picture(body, flags)


def _size(body: bytes) -> tuple[int, int]:
    """Width and height, in pixels, as the header says."""
    if body.startswith(PNG):  # imagesize takes 12 us
        return _WIDTH_HEIGHT(body, 16) if len(body) >= HEADER else (0, 0)
    width, height = imagesize.get(BytesIO(body))  # (-1, -1) where it cannot tell
    return int(width), int(height)


def _on_paper(gray: Gray, alpha: Gray) -> Gray:
    """Lay a transparent picture on white paper if what is visible is dark, else on black."""
    on_black: Any = cv2.multiply(gray, alpha, scale=1 / 255)  # (h, w) uint8
    dark = on_black.sum() * 255.0 <= 128.0 * alpha.sum(dtype=np.float64)
    laid: Gray = on_black + (255 - alpha) if dark else on_black
    return laid
