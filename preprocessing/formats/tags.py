"""The first directory of a TIFF, and how to write one behind the file that replaces it.

    "II" or "MM", 42, where the directory is; count, then entries: tag, type, count, value or place

A file may name a tag twice, have further pages, or lead from one to itself, and libtiff makes of
each what it thinks best. Of what is written here there is one of each, so that it reads what we do.
"""

import struct
from enum import IntEnum
from typing import NamedTuple, Self

from preprocessing.formats.picture import NotAPicture


class Tag(IntEnum):
    """All that says how the pixels are stored. No other tag reaches libtiff."""

    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
    FILL_ORDER, STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES = 266, 273, 274, 277, 278, 279
    PLANAR, FAX_3, FAX_4, PREDICTOR, COLOURS = 284, 292, 293, 317, 320
    TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 322, 323, 324, 325
    EXTRA, FORMAT, JPEG_TABLES = 338, 339, 347
    YCBCR_WEIGHTS, YCBCR_SUBSAMPLING, YCBCR_POSITION, BLACK_WHITE = 529, 530, 531, 532


KNOWN = frozenset(Tag)
BYTE, SHORT, LONG = 1, 3, 4  # types
LETTERS = {BYTE: "B", SHORT: "H", LONG: "I"}  # for struct
SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)  # bytes of a value of each type
MOST_NUMBERS = 2**16  # of an entry


class Entry(NamedTuple):
    kind: int  # of number: an index of SIZES
    many: int
    value: bytes  # 4 of them: the numbers, or where they are


class Directory(NamedTuple):
    order: str  # of bytes, for struct
    entries: dict[int, Entry]

    @classmethod
    def read(cls, body: bytes) -> Self:
        order = "<" if body.startswith(b"II") else ">"
        try:
            (at,) = struct.unpack_from(order + "I", body, 4)
            (count,) = struct.unpack_from(order + "H", body, at)
        except struct.error:
            raise NotAPicture("the TIFF is incomplete: its directory is missing") from None
        raw = body[at + 2 : at + 2 + 12 * count]
        entries: dict[int, Entry] = {}
        for tag, *entry in struct.iter_unpack(order + "HHI4s", raw[: len(raw) // 12 * 12]):
            if tag in KNOWN:
                entries.setdefault(tag, Entry(*entry))
        directory = cls(order, entries)
        if any(directory._end(entry) > len(body) for entry in entries.values()):
            raise NotAPicture("the TIFF is incomplete: a value is missing")
        return directory

    def _end(self, entry: Entry) -> int:
        """Where in the body the value ends, if that is not in the entry."""
        if entry.kind >= len(SIZES):
            raise NotAPicture(f"the TIFF is damaged: there is no type {entry.kind}")
        size = SIZES[entry.kind] * entry.many
        return struct.unpack(self.order + "I", entry.value)[0] + size if size > 4 else 0

    def number(self, body: bytes, tag: Tag, otherwise: int = 0) -> int:
        """The first number of a tag."""
        return self.numbers(body, tag)[0] if tag in self.entries else otherwise

    def numbers(self, body: bytes, tag: Tag) -> tuple[int, ...]:
        kind, many, value = self.entries.get(tag, Entry(0, 0, b""))
        if kind not in LETTERS or not 0 < many <= MOST_NUMBERS:
            raise NotAPicture(f"the TIFF is damaged: tag {tag}, {tag.name}, holds no numbers")
        numbers = struct.Struct(f"{self.order}{many}{LETTERS[kind]}")
        if numbers.size <= 4:
            return numbers.unpack(value[: numbers.size])
        (at,) = struct.unpack(self.order + "I", value)
        return numbers.unpack_from(body, at)

    def written(self, body: bytes, changed: dict[Tag, list[int]]) -> bytes:
        """A file of the same pixels with this directory, its only one, and some tags changed.

        A tag changed to nothing is left out.
        """
        start = len(body) + len(body) % 2
        kept = {tag: entry for tag, entry in self.entries.items() if tag not in changed}
        tags = sorted([*kept, *(tag for tag, numbers in changed.items() if numbers)])
        values = start + 2 + 12 * len(tags) + 4  # where they begin that need more than 4 bytes
        raw, behind = [struct.pack(self.order + "H", len(tags))], b""
        for tag in tags:
            if tag in kept:
                entry = kept[tag]
            else:
                numbers = changed[Tag(tag)]
                kind = LONG if max(numbers) >= 2**16 else SHORT
                value = struct.pack(f"{self.order}{len(numbers)}{LETTERS[kind]}", *numbers)
                if len(value) > 4:
                    behind, value = behind + value, self._place(values + len(behind))
                entry = Entry(kind, len(numbers), value.ljust(4, b"\0"))
            raw.append(struct.pack(self.order + "HHI4s", tag, *entry))
        head = body[:4] + self._place(start)
        return b"".join([head, body[8:].ljust(start - 8, b"\0"), *raw, bytes(4), behind])

    def _place(self, at: int) -> bytes:
        return struct.pack(self.order + "I", at)
