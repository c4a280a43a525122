"""JPEG: its size is in the first frame header, at which libjpeg arrives by the same steps.

SOI, then segments: 0xff, marker, length, data; at SOS the scans begin
"""

import struct
from functools import partial

from preprocessing.formats.picture import COPIES, NotAPicture, Picture, Raster, decoded, of_8_bits

SIGNATURE = b"\xff\xd8\xff"
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG, DAC
BARE = frozenset(range(0xD0, 0xD8)) | {0x01}  # RST0..7, TEM: markers without a length
SCAN, END = 0xDA, 0xD9
SCANS = b"\xff\xda"  # where each begins
BLOCK = 128  # bytes of the coefficients of 8 x 8 samples
# Each scan goes over the whole picture again, however short it is. Progressive pictures have ten.
MOST_SCANS = 32
_LENGTH = struct.Struct(">H").unpack_from
_HEIGHT_WIDTH = struct.Struct(">HH").unpack_from


def opened(body: bytes) -> Picture:
    try:
        frame = _frame(body)
        height, width = _HEIGHT_WIDTH(body, frame + 5)
        coefficients = _coefficients(body, frame, width, height)
    except (IndexError, struct.error):
        raise NotAPicture("the JPEG is incomplete: it ends in its header") from None
    check_scans(body)
    samples = width * height * (1 if body[frame + 9] == 1 else 3)
    memory = max(COPIES * samples, samples + coefficients) + len(body)
    return Picture(width, height, partial(_raster, body), memory)


def _coefficients(body: bytes, frame: int, width: int, height: int) -> int:
    """Bytes that libjpeg keeps of all coefficients at once, where there are several scans."""
    if body.count(SCANS) < 2:
        return 0
    count = body[frame + 9]
    factors = [body[frame + 11 + 3 * each] for each in range(count)]  # 4 bits across, 4 down
    across = max(max(each >> 4 for each in factors), 1)
    down = max(max(each & 15 for each in factors), 1)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    blocks = units * sum((each >> 4) * (each & 15) for each in factors)
    return BLOCK * blocks


def check_scans(body: bytes) -> None:
    """Also for a TIFF that is compressed so. In the data of a scan, 0xff is followed by 0."""
    if body.count(SCANS) > MOST_SCANS:
        raise NotAPicture(f"a JPEG of more than {MOST_SCANS} scans is not decoded")


def _frame(body: bytes) -> int:
    """Where the marker of the first frame header is."""
    at = 2
    while True:
        while body[at] != 0xFF:  # libjpeg skips what is between segments, too
            at += 1
        while body[at] == 0xFF:
            at += 1
        marker = body[at]
        if marker in FRAMES:
            return at - 1
        if marker in (SCAN, END):
            raise NotAPicture("the JPEG is damaged: it has no frame header")
        if marker and marker not in BARE:
            at += _LENGTH(body, at + 1)[0]
        at += 1


def _raster(body: bytes) -> Raster:
    return of_8_bits(decoded(body))
