"""BMP: what OpenCV takes for granted of colours and transparency is looked up in the header.

"BM", 12 bytes, header: its length, width, height, ..., masks of red, green, blue, alpha
"""

import struct
from functools import partial

import cv2
import numpy as np

from preprocessing.formats.picture import COPIES, NotAPicture, Picture, Raster, decoded, of_8_bits

SIGNATURE = b"BM"
OS2 = 12  # bytes of the header of OS/2 1.x, with sizes of 16 bits
BITFIELDS = 3  # compression: none, and masks say where the colours are
WITH_ALPHA = 56  # bytes of a header with a fourth mask
CHANNELS = 4  # at most
SHORTEST = 70  # bytes of a file with masks, be they four or three and a pixel
BYTES = {0xFF << 8 * k: k for k in range(4)}  # a mask, and which byte of a pixel it is


def opened(body: bytes) -> Picture:
    if len(body) < 26:
        raise NotAPicture("the BMP is incomplete: it ends in its header")
    (header,) = struct.unpack_from("<I", body, 14)
    width, height = struct.unpack_from("<HH" if header == OS2 else "<ii", body, 18)
    height = abs(height)  # < 0: from the top down
    memory = CHANNELS * (COPIES + 1) * width * height + len(body)  # one copy to order the channels
    return Picture(width, height, partial(_raster, body, header), memory)


def _raster(body: bytes, header: int) -> Raster:
    if header == OS2:  # of which OpenCV would give gray
        return of_8_bits(decoded(body, cv2.IMREAD_COLOR))
    raster = of_8_bits(decoded(body))
    bits, compression = struct.unpack_from("<HI", body, 28)
    if bits != 32 or compression != BITFIELDS:
        return raster
    order = _order(body, header)
    return raster if order == [0, 1, 2, 3] else np.ascontiguousarray(raster[..., order])


def _order(body: bytes, header: int) -> list[int]:
    """Which of the four channels that OpenCV gives are blue, green, red, and, if any, alpha."""
    if len(body) < SHORTEST:
        raise NotAPicture("the BMP is damaged: it has no place for its masks")
    *masks, alpha = struct.unpack_from("<IIII", body, 54)
    if header >= WITH_ALPHA:
        return [0, 1, 2, 3] if alpha else [0, 1, 2]
    # For all shorter headers it gives the bytes of a pixel as they are, whatever the masks.
    order = [BYTES[mask] for mask in reversed(masks) if mask in BYTES]
    if len(order) < 3:
        raise NotAPicture("a BMP of 32 bits whose colours are not bytes is not supported")
    return order
