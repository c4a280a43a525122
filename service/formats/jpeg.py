"""JPEG: its size is in the first frame header, at which libjpeg arrives by the same steps.

SOI, then segments: 0xff, marker, length, data; at SOS the scans begin
"""

import struct
from functools import partial

from service.formats.picture import NotAPicture, Picture, Raster, decoded, of_8_bits

SIGNATURE = b"\xff\xd8\xff"
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG, DAC
BARE = frozenset(range(0xD0, 0xD8)) | {0x01}  # RST0..7, TEM: markers without a length
SCAN, END = 0xDA, 0xD9
# Each scan goes over the whole picture again, however short it is. Progressive pictures have ten.
MOST_SCANS = 32
_LENGTH = struct.Struct(">H").unpack_from
_HEIGHT_WIDTH = struct.Struct(">HH").unpack_from


def opened(body: bytes) -> Picture:
    try:
        height, width = _HEIGHT_WIDTH(body, _frame(body) + 5)
    except (IndexError, struct.error):
        raise NotAPicture("the JPEG is incomplete: it ends in its header") from None
    check_scans(body)
    return Picture(width, height, partial(_raster, body))


def check_scans(body: bytes) -> None:
    """Also for a TIFF that is compressed so. In the data of a scan, 0xff is followed by 0."""
    if body.count(b"\xff\xda") > MOST_SCANS:
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
