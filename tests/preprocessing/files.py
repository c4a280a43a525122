"""Image files in variants that Pillow cannot write, encoded by hand."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
PNG = b"\x89PNG\r\n\x1a\n"


def packed(samples: Samples, bits: int) -> Samples:
    """Samples (h, w) of a few bits each, the first in the highest bits of a byte."""
    steps = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    single = (samples[..., np.newaxis] >> steps & 1).reshape(len(samples), -1)
    return np.packbits(single.astype(np.uint8), axis=1)


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(
    size: tuple[int, int], bits: int, colour: int, rows: Samples | bytes, *extra: bytes
) -> bytes:
    """Rows (h, bytes) without a filter; `extra` chunks precede them. Size is (w, h)."""
    if not isinstance(rows, bytes):
        rows = b"".join(b"\0" + row.tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"".join([PNG, header, *extra, data, chunk(b"IEND", b"")])


def with_chunk(body: bytes, kind: bytes, data: bytes, times: int = 1) -> bytes:
    """Insert chunks after the header of a PNG."""
    return body[:33] + chunk(kind, data) * times + body[33:]


TYPES = {"B": 1, "H": 3, "I": 4}


def tiff(order: str, tags: dict[int, tuple[str, list[int]]], pieces: list[bytes]) -> bytes:
    """With strips, or with tiles if the tags have a tile width."""
    places, lengths = (324, 325) if 322 in tags else (273, 279)
    tags = tags | {places: ("I", [0] * len(pieces)), lengths: ("I", list(map(len, pieces)))}
    raw = {tag: struct.pack(f"{order}{len(n)}{t}", *n) for tag, (t, n) in tags.items()}
    begin = 8 + 2 + 12 * len(tags) + 4  # offset of the values longer than 4 bytes
    ends = np.cumsum([begin + sum(len(r) for r in raw.values() if len(r) > 4), *map(len, pieces)])
    raw[places] = struct.pack(f"{order}{len(pieces)}I", *ends[:-1].tolist())
    entries, values = b"", b""
    for tag, (letter, numbers) in sorted(tags.items()):
        value = raw[tag]
        if len(value) > 4:
            values, value = values + value, struct.pack(order + "I", begin + len(values))
        entries += struct.pack(order + "HHI", tag, TYPES[letter], len(numbers)) + value.ljust(
            4, b"\0"
        )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "IH", 8, len(tags))
    return head + entries + bytes(4) + values + b"".join(pieces)


def tags(
    size: tuple[int, int], bits: int, photometric: int, samples: int = 1, **more: int
) -> dict[int, tuple[str, list[int]]]:
    """The tags of a TIFF, with `more` as t<number>=value. Size is (w, h)."""
    made = {
        256: ("I", [size[0]]), 257: ("I", [size[1]]), 258: ("H", [bits] * samples),
        259: ("H", [1]), 262: ("H", [photometric]), 277: ("H", [samples]),
    }  # fmt: skip
    return made | {int(name[1:]): ("I", [value]) for name, value in more.items()}


def tiled(samples: Samples, side: int) -> list[bytes]:
    """Split into tiles; those at the right and bottom edges are padded with zeros."""
    height, width = samples.shape[:2]
    fill = [(0, -height % side), (0, -width % side), (0, 0)][: samples.ndim]
    whole = np.pad(samples, fill)
    return [
        whole[y : y + side, x : x + side].tobytes()
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


def bmp(
    size: tuple[int, int], bits: int, rows: Samples | bytes, colours: bytes = b"",
    *, compression: int = 0, header: int = 40,
) -> bytes:  # fmt: skip
    """Rows (h, bytes) from the top, or raw data; `colours` are a palette or masks."""
    width, height = size
    if not isinstance(rows, bytes):
        rows = b"".join(row.tobytes().ljust(-(-row.nbytes // 4) * 4, b"\0") for row in rows[::-1])
    if header == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHII", header, width, height, 1, bits, compression, len(rows))
        # The longer headers include the masks; after shorter ones, they follow.
        head = head.ljust(40, b"\0") + (colours if header > 40 else b"")
        colours = b"" if header > 40 else colours
    head = head.ljust(header, b"\0") + colours
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows
    )


def run_lengths(indices: Samples) -> bytes:
    """Rows (h, w) from the top in runs of 8 bits, as in a BMP."""
    data = b""
    for row in indices[::-1]:
        ends = [*np.flatnonzero(np.diff(row)) + 1, len(row)]
        for begin, end in zip([0, *ends], ends, strict=False):
            data += bytes([end - begin, row[begin]])
        data += b"\0\0"
    return data + b"\0\1"


def gif(size: tuple[int, int], codes: bytes) -> bytes:
    """A GIF of two colours, with LZW codes of 3 bits or more."""
    blocks = (codes[at : at + 255] for at in range(0, len(codes), 255))
    screen = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\2"
    return screen + frame + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0;"
