"""BMP: what OpenCV takes for granted of colours and transparency is looked up in the header.

"BM", 12 bytes, header: its length, width, height, ..., masks of red, green, blue, alpha
"""

import struct
from functools import partial

import cv2
import numpy as np

from service.formats.picture import NotAPicture, Picture, Raster, decoded, of_8_bits

SIGNATURE = b"BM"
OS2 = 12  # bytes of the header of OS/2 1.x, with sizes of 16 bits
BITFIELDS = 3  # compression: none, and masks say where the colours are
WITH_ALPHA = 56  # bytes of a header with a fourth mask
BYTES = {0xFF << 8 * k: k for k in range(4)}  # a mask, and which byte of a pixel it is


def opened(body: bytes) -> Picture:
    if len(body) < 26:
        raise NotAPicture("the BMP is incomplete: it ends in its header")
    (header,) = struct.unpack_from("<I", body, 14)
    width, height = struct.unpack_from("<HH" if header == OS2 else "<ii", body, 18)
    return Picture(width, abs(height), partial(_raster, body, header))  # < 0: from the top down


def _raster(body: bytes, header: int) -> Raster:
    if header == OS2:  # of which OpenCV would give gray
        return of_8_bits(decoded(body, cv2.IMREAD_COLOR))
    raster = of_8_bits(decoded(body))
    bits, compression = struct.unpack_from("<HI", body, 28)
    if bits != 32 or compression != BITFIELDS:
        return raster
    masks = struct.unpack_from("<IIII" if header >= WITH_ALPHA else "<III", body, 54)
    red, green, blue, *alpha = (BYTES.get(mask) for mask in masks if mask)
    if red is None or green is None or blue is None or None in alpha:
        raise NotAPicture("a BMP of 32 bits whose colours are not bytes is not supported")
    order = [blue, green, red, *alpha]
    # Left alone where it is as OpenCV thinks: bytes of blue, green, red and alpha.
    return raster if order == [0, 1, 2, 3] else np.ascontiguousarray(raster[..., order])
