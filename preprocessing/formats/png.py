"""PNG: chunks of which only those that make the pixels reach the decoder.

    signature, then chunks: length, kind, data, CRC-32 of kind and data

What else a file carries is not only ignored: libpng would inflate each compressed text of up to
8 MB, which takes 30 ms and 8 kB of the sender's. Without its animation, the picture is what the
file shows where none is played.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np

from preprocessing.formats.picture import (
    COPIES,
    NotAPicture,
    Picture,
    Raster,
    Samples,
    decoded,
    of_8_bits,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
START, COLOUR = 16, 25  # bytes of a file before its width, and before its colour type
_HEADER = struct.Struct(">IIBB").unpack_from  # width, height, bits of a sample, colour type
_CHUNK = struct.Struct(">I4s").unpack_from
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types
DEEP = 16  # bits of a sample that takes two bytes
SAMPLES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}  # of a pixel
NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
# Nothing that libpng would do much about, and nothing that OpenCV gets wrong.
PLAIN = frozenset(
    {
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"bKGD", b"cHRM", b"gAMA", b"hIST", b"pHYs", b"sBIT",
        b"sRGB", b"tEXt", b"tIME",
    }
)  # fmt: skip
STEP = 2**14  # bytes that are inflated at a time
INFLATES = 1032  # times as long, at most
HARMLESS = 2**24  # bytes, inflated in 30 ms
MOST_PARTS = 2**14  # chunks of pixels' data; 10 MB may hold 800,000 that are empty


def opened(body: bytes) -> Picture:
    if len(body) < START + 10 or body[12:16] != b"IHDR":
        raise NotAPicture("the PNG is damaged: it does not begin with a header")
    width, height, bits, colour = _HEADER(body, START)
    memory = _bytes_a_pixel(body, bits, colour) * width * height + 2 * len(body)
    return Picture(width, height, partial(_raster, body), memory)


def _bytes_a_pixel(body: bytes, bits: int, colour: int) -> int:
    """Of decoding: the samples, their copy, and what `_with_key` makes of gray."""
    has_key = b"tRNS" in body
    size = 2 if bits == DEEP else 1  # bytes of a sample
    if colour == GRAY:
        return (8 if has_key else COPIES) * size
    channels = 3 if colour in (RGB, PALETTE) and not has_key else 4
    return COPIES * channels * size


def is_plain(body: bytes) -> bool:
    """Whether OpenCV decodes the file as it should and at once, were it never so malicious."""
    try:
        kinds = {kind for kind, _, _ in _chunks(body)}
    except NotAPicture:
        return False
    return kinds <= PLAIN or (kinds <= PLAIN | {b"tRNS"} and body[COLOUR] != GRAY)


def is_bomb(body: bytes) -> bool:
    """Whether the pixels' data is longer than the pixels, or no data at all."""
    view = memoryview(body)
    try:
        data = [view[begin + 8 : end - 4] for kind, begin, end in _chunks(body) if kind == b"IDAT"]
        return _inflates_to_more(_steps(data), _longest(body))
    except (NotAPicture, zlib.error):
        return True


def _chunks(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk, and where it begins and ends; the last is IEND."""
    begin, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if begin + 12 > len(body):
            raise NotAPicture("the PNG is incomplete: its end is missing")
        length, kind = _CHUNK(body, begin)
        end = begin + 12 + length
        yield kind, begin, end
        begin = end


def _raster(body: bytes) -> Raster:
    view = memoryview(body)
    parts: dict[bytes, list[memoryview]] = {}
    needed = [view[: len(SIGNATURE)]]
    for kind, begin, end in _chunks(body):
        if kind not in NEEDED or (kind != b"IDAT" and kind in parts):
            continue
        if len(needed) > MOST_PARTS:
            raise NotAPicture(f"a PNG of more than {MOST_PARTS:,} parts is not decoded")
        if end > len(body) or zlib.crc32(view[begin + 4 : end - 4]) != _number(view[end - 4 : end]):
            raise NotAPicture(f"the PNG is damaged: the checksum of its {kind!r} is wrong")
        parts.setdefault(kind, []).append(view[begin + 8 : end - 4])
        needed.append(view[begin:end])
    _, _, bits, colour = _HEADER(body, START)
    _check_length(body, parts.get(b"IDAT", []))
    samples = decoded(b"".join(needed))
    if colour == GRAY and b"tRNS" in parts:
        samples = _with_key(samples, _number(parts[b"tRNS"][0]), bits)
    return of_8_bits(samples)


def _number(data: memoryview) -> int:
    return int.from_bytes(data, "big")


def _check_length(body: bytes, data: list[memoryview]) -> None:
    """NotAPicture if the pixels' data is longer than the pixels: libpng inflates all of it."""
    most = _longest(body)
    # To inflate twice is half of the work on a photo. A drawing is compressed so well that it
    # could not be much longer.
    if INFLATES * sum(map(len, data)) <= 8 * most + HARMLESS:
        return
    try:
        if _inflates_to_more(_steps(data), most):
            raise NotAPicture("the PNG is damaged: it has more data than pixels")
    except zlib.error:
        raise NotAPicture("the PNG is damaged: its data cannot be inflated") from None


def _longest(body: bytes) -> int:
    """Bytes that the pixels have, inflated, at most."""
    width, height, bits, colour = _HEADER(body, START)
    if colour not in SAMPLES:
        raise NotAPicture(f"the PNG is damaged: there is no colour type {colour}")
    # Interlaced, a row is eight parts at most, each with its byte for the filter and its padding.
    return int(height * ((width * SAMPLES[colour] * bits + 7) // 8 + 1) + 16 * (width + height))


def _steps(data: list[memoryview]) -> Iterator[memoryview]:
    return (part[at : at + STEP] for part in data for at in range(0, len(part), STEP))


def _inflates_to_more(steps: Iterator[memoryview], most: int) -> bool:
    """Whether to more than that many bytes, of which few are kept at a time."""
    inflater, found = zlib.decompressobj(), 0
    for step in steps:
        rest: bytes | memoryview = step
        while rest and not inflater.eof:
            found += len(inflater.decompress(rest, min(64 * STEP, most - found + 1)))
            rest = inflater.unconsumed_tail
            if found > most:
                return True
    return False


def _with_key(samples: Samples, key: int, bits: int) -> Samples:
    """Gray with one gray that is transparent, which OpenCV forgets, as BGRA."""
    opaque = samples.dtype.type(np.iinfo(samples.dtype).max)
    shown = key if bits == 16 else key * 255 // (2**bits - 1)
    coloured: Any = cv2.cvtColor(samples, cv2.COLOR_GRAY2BGRA)
    coloured[..., 3] = np.where(samples == shown, samples.dtype.type(0), opaque)
    laid: Samples = coloured
    return laid
