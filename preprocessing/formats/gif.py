"""GIF: its first frame, unless the decoder would be kept busy with clearing its table.

    header, colours, extensions, first frame: 10 bytes, colours, bits of a code, codes in sub-blocks

Codes are of LZW: each that is read adds one to a table, and so they grow from 3 bits to 12. One of
them clears the table. OpenCV takes 15 us to do so, and 10 MB may hold 28 million of it.
"""

import struct
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from preprocessing.formats.picture import NotAPicture, Picture, Raster, decoded, of_8_bits

SIGNATURE = b"GIF8"
EXTENSION, FRAME = 0x21, 0x2C
COLOURS = 0x80  # flag: 3 * 2 ** (1 + the last three bits) bytes of colours follow
MOST_CODES = 4096  # of a table, after which encoders clear it
# Those who clear it when it is full have had as many pixels as codes, or more.
PIXELS_A_CLEAR, SPARE_CLEARS = 2000, 1000
MOST_A_PIXEL = 12  # bytes: BGRA and its copy, the canvas and the codes of a frame
AHEAD = 64  # codes that are looked at in a new table: it may be cleared again soon


def opened(body: bytes) -> Picture:
    if len(body) < 13:
        raise NotAPicture("the GIF is incomplete: it ends in its header")
    width, height = struct.unpack_from("<HH", body, 6)  # of the canvas; no frame may leave it
    memory = MOST_A_PIXEL * width * height + 3 * len(body)
    return Picture(width, height, partial(_raster, body, width * height), memory)


def _raster(body: bytes, pixels: int) -> Raster:
    most = SPARE_CLEARS + pixels // PIXELS_A_CLEAR
    try:
        clears = _clears(*_codes(body), most)
    except IndexError:
        raise NotAPicture("the GIF is incomplete: it ends within its first frame") from None
    if clears > most:
        raise NotAPicture("the GIF is damaged: it clears its table of codes far too often")
    return of_8_bits(decoded(body))


def _codes(body: bytes) -> tuple[int, bytes]:
    """Of the first frame, the bits of its smallest code, and its codes; IndexError if it is cut."""
    at = 13 + _colours(body[10])
    while body[at] == EXTENSION:
        at, _ = _sub_blocks(body, at + 2)
    if body[at] != FRAME:
        raise NotAPicture("the GIF is damaged: it has no frame")
    at += 10 + _colours(body[at + 9])
    return body[at], bytes(_sub_blocks(body, at + 1)[1])


def _colours(flags: int) -> int:
    """Bytes of a table of colours; 0 if there is none."""
    return 3 * 2 ** (1 + (flags & 7)) if flags & COLOURS else 0


def _sub_blocks(body: bytes, at: int) -> tuple[int, bytearray]:
    """Where the sub-blocks that begin there end, and what they hold."""
    held = bytearray()  # a list of them would take 20 times the memory if they are of 2 bytes
    while length := body[at]:
        held += body[at + 1 : at + 1 + length]
        at += 1 + length
    return at + 1, held


def _clears(bits: int, codes: bytes, most: int) -> int:
    """How often the table is cleared, or `most` + 1."""
    if not 2 <= bits <= 11:
        raise NotAPicture("the GIF is damaged: its codes are too long")
    data = np.frombuffer(codes + bytes(3), np.uint8).astype(np.uint32)
    begins, masks = _places(bits)
    at, since, found = 0, 0, 0  # bits, codes in the table, clears
    while at < 8 * len(codes) and found <= most:
        ahead = slice(since, since + (MOST_CODES if since else AHEAD))
        places = at + begins[ahead] - begins[since]
        places = places[places < 8 * len(codes)]
        byte, shift = places >> 3, (places & 7).astype(np.uint32)
        words = data[byte] | data[byte + 1] << np.uint32(8) | data[byte + 2] << np.uint32(16)
        read = words >> shift & masks[ahead][: len(places)]
        (clears,) = np.nonzero(read | 1 == 1 << bits | 1)  # or end, which clears, too
        cleared = len(clears) > 0
        end = since + (int(clears[0]) + 1 if cleared else len(places))
        at += int(begins[end] - begins[since])
        since = 0 if cleared else min(end, MOST_CODES)  # a full table stays as it is
        found += cleared
    return found


@cache
def _places(bits: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Of each code since the table was cleared, its first bit (2 * 4096 + 1,), and its mask."""
    known = (1 << bits) + 1 + np.arange(2 * MOST_CODES)  # codes, while this one is read
    widths = np.minimum(np.floor(np.log2(known)).astype(np.int64) + 1, 12)
    return np.concatenate([[0], widths.cumsum()]), ((1 << widths) - 1).astype(np.uint32)
