"""WebP: the first chunk of the RIFF container says the size of the canvas, which is decoded."""

import struct
from functools import partial

from preprocessing.formats.foreign import UNKNOWN
from preprocessing.formats.picture import NotAPicture, Picture, Raster, decoded, of_8_bits

SIGNATURE = b"RIFF"
ANIMATED = 2  # flag
HEADER = 32  # bytes that libwebp looks at
_LOSSY = struct.Struct("<HH").unpack_from  # 14 bits each, then 2 of scaling, which none does


def opened(body: bytes) -> Picture:
    if len(body) < HEADER or body[8:12] != b"WEBP":
        raise NotAPicture(UNKNOWN)
    width, height = _size(body)
    memory = _bytes_a_pixel(body) * width * height + len(body)
    return Picture(width, height, partial(_raster, body), memory)


def _bytes_a_pixel(body: bytes) -> int:
    """Of decoding: BGR or BGRA, its copy, and what libwebp keeps of its own."""
    match body[12:16], body[20]:
        case b"VP8 ", _:
            return 7
        case b"VP8X", flags if flags & ANIMATED:  # two more canvases
            return 16
    return 12


def _size(body: bytes) -> tuple[int, int]:
    match body[12:16]:
        case b"VP8 ":
            width, height = _LOSSY(body, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(body[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return (
                int.from_bytes(body[24:27], "little") + 1,
                int.from_bytes(body[27:30], "little") + 1,
            )
    raise NotAPicture("the WebP is damaged: it does not begin with a picture")


def _raster(body: bytes) -> Raster:
    return of_8_bits(decoded(body))
