"""The numbers that the service counts in, in memory that the workers share.

    supervisor --reserve--> descriptor --pass_fds--> workers, which map all of it
    worker     --Writer---> numbers of its own slot
               --Segment--> numbers of every slot, to be added up

There is a segment for each slot. Only the worker in that slot writes to it; the worker that takes
its place goes on with the same numbers. A process that serves alone has one segment of its own.

    header | directory, a word for each unit | units of 64 bytes

A series is an entry: its numbers and then its key, in consecutive units. The directory's word for
the first of them is written last when an entry is made and cleared first when it is removed, and
the header counts these changes. So a worker that is killed at any point leaves whole entries, and
a reader notices that entries have changed while it was reading.

All of the memory exists before the first worker starts: touching it cannot fail later, however full
a disk is. It has no name, and ends with the last process that maps it.

The supervisor imports this: nothing heavy here.
"""

import fcntl
import json
import logging
import mmap
import os
import sys
import tempfile
import threading
from itertools import compress
from typing import NamedTuple, TypeAlias

from service.errors import CannotStart
from service.settings import Settings

SERIES = 512 * 1024  # bytes a worker, of counters, gauges and histograms: many times what is used
PRIVATE = 8 * SERIES  # bytes of a process that serves alone: only what is used takes memory
# Of the table of a version's statistics.
COLUMNS = 9
VERSIONS = 16  # that have one
UNIT = 64  # bytes
HEADER = 64  # bytes
CHANGES, REFUSED = 0, 1  # words of the header
KEY_BITS, COUNT_BITS = 12, 20  # of a directory's word: length of the key, how many numbers
LONGEST_KEY, MOST_NUMBERS = 2**KEY_BITS - 1, 2**COUNT_BITS - 1
MOST_NAMES = 20  # series without room that are named

Cells: TypeAlias = "memoryview[float]"

log = logging.getLogger("service")


class Entry(NamedTuple):
    start: int  # of its numbers among those of the segment
    length: int  # how many
    serial: int  # a later entry has a larger one


def reserve(size: int) -> int:
    """The descriptor of that much shared memory; CannotStart if there is not so much."""
    try:
        if sys.platform == "linux":
            return _memory_file(size)
        log.warning("this system has no memory without a file: an unlinked one has the numbers")
        return unlinked_file(size)
    except OSError as error:
        raise CannotStart(
            f"{size:,} bytes of shared memory for the numbers of the workers cannot be reserved: "
            f"{error.strerror}; fewer DIGITSERVE_WORKERS need less"
        ) from error


def unlinked_file(size: int) -> int:
    """The same in a file of TMPDIR without a name, all of which is written."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(size))
        file.flush()
        return os.dup(file.fileno())


def _memory_file(size: int) -> int:
    descriptor = os.memfd_create("numbers", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.posix_fallocate(descriptor, 0, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor


def rows(settings: Settings) -> int:
    """Of a version's statistics: one for each size that a batch may have, and row 0."""
    return max(settings.max_batch, settings.max_pictures) + 1


def tables_size(settings: Settings) -> int:
    """Bytes of a worker's tables of statistics, with their keys and their part of the directory."""
    return VERSIONS * (rows(settings) * COLUMNS * 8 + 128) * 9 // 8


def key_of(kind: str, name: str, labels: tuple[str, ...] = ()) -> str:
    return json.dumps([kind, name, *labels])


def private_memory(size: int = PRIVATE) -> "SharedMemory":
    """Memory of this process alone, in which it is the only worker."""
    return SharedMemory(-1, 1, 0, size)


class SharedMemory:
    def __init__(self, descriptor: int, slots: int, slot: int | None = None, size: int = 0) -> None:
        """`slot` is that of the worker which this process is; None: it is the supervisor.

        `size` in bytes; 0: that of the descriptor's file.
        """
        self.descriptor = descriptor
        whole = memoryview(mmap.mmap(descriptor, size))
        size = len(whole) // slots // UNIT * UNIT
        self.numbers: Cells = whole[: slots * size].cast("d")  # of all segments, one after another
        self.segments = [Segment(whole, at * size, size) for at in range(slots)]
        self._own = None if slot is None else Writer(whole, slot * size, size)

    @property
    def own(self) -> "Writer":
        """Of the worker which this process is."""
        assert self._own is not None
        return self._own

    @property
    def refused(self) -> int:
        """Series that found no room, in all segments."""
        return sum(segment.refused for segment in self.segments)


class Segment:
    """The numbers of a slot, as any process reads them."""

    def __init__(self, whole: memoryview, start: int, size: int) -> None:
        """`size` bytes of memory from `start` on."""
        self._memory = memory = whole[start : start + size]
        self._words = memory.cast("Q")
        self.numbers: Cells = memory.cast("d")
        self.start = start // self.numbers.itemsize  # of its numbers among those of all
        self._units = (len(memory) - HEADER) // (UNIT + self._words.itemsize)
        first = HEADER // self._words.itemsize
        self._directory = self._words[first : first + self._units]
        self._base = len(memory) - self._units * UNIT  # of the first unit
        self._entries: dict[str, Entry] = {}
        self._looked_at = -1  # count of changes at which the entries were looked up

    @property
    def refused(self) -> int:
        return self._words[REFUSED]

    def entries(self) -> dict[str, Entry]:
        """By key; another dictionary after each change."""
        while self._looked_at != (changes := self._words[CHANGES]):
            found = self._look_up()
            if self._words[CHANGES] == changes:  # else units may have been used anew meanwhile
                self._entries, self._looked_at = found, changes
        return self._entries

    def labels(self, kind: str, name: str) -> list[tuple[str, ...]]:
        """Of all series of a metric, the oldest first."""
        start = f"{key_of(kind, name)[:-1]},"
        entries = sorted(self.entries().items(), key=lambda each: each[1].serial)
        return [tuple(json.loads(key)[2:]) for key, _ in entries if key.startswith(start)]

    def read(self, key: str) -> "Cells | None":
        """A copy of the numbers of an entry."""
        while True:
            entries = self.entries()
            entry = entries.get(key)
            if entry is None:
                return None
            copy = bytes(self.numbers[entry.start : entry.start + entry.length])
            if self.entries() is entries:
                return memoryview(copy).cast("d")

    def forget_gauges(self) -> None:
        """What a process that has ended was doing is nothing."""
        for key, entry in self.entries().items():
            if key.startswith('["gauge"'):
                for place in range(entry.start, entry.start + entry.length):
                    self.numbers[place] = 0.0

    def _look_up(self) -> dict[str, Entry]:
        words = self._directory.tolist()
        first_units = compress(range(self._units), words)  # few of many
        return {
            self._key(unit, words[unit]): self._entry(unit, words[unit]) for unit in first_units
        }

    def _entry(self, unit: int, word: int) -> Entry:
        start = (self._base + unit * UNIT) // self.numbers.itemsize
        return Entry(start, word >> KEY_BITS & MOST_NUMBERS, word >> (KEY_BITS + COUNT_BITS))

    def _key(self, unit: int, word: int) -> str:
        start, length, _ = self._entry(unit, word)
        at = (start + length) * self.numbers.itemsize
        return bytes(self._memory[at : at + (word & LONGEST_KEY)]).decode("ascii", "replace")


class Writer(Segment):
    """The numbers of a slot, as the worker in it makes and removes them, from any thread."""

    def __init__(self, whole: memoryview, start: int, size: int) -> None:
        super().__init__(whole, start, size)
        self.without_room: dict[str, None] = {}  # names of the first series that found none
        self._lock = threading.Lock()
        self._words[CHANGES] += 1  # the process before may have ended before it counted one
        self._taken = bytearray(self._units)  # 1 for each unit that is used
        self._last = 0  # serial
        for key, entry in self.entries().items():
            self._take(key, entry, 1)
            self._last = max(self._last, entry.serial)

    def cells(self, key: str, count: int, *, at_end: bool = False) -> Cells:
        """The numbers of that series, which are 0 if it is new.

        One that finds no room is counted and named; its numbers are memory of this process alone.
        `at_end` keeps large entries away from the small ones, whose gaps would be too small.
        """
        with self._lock:
            entry = self.entries().get(key)
            if entry is not None and entry.length != count:
                self._remove(key, entry)
                entry = None
            if entry is None:
                entry = self._make(key, count, at_end=at_end)
            if entry is None:
                self._refuse(key)
                return memoryview(bytearray(count * 8)).cast("d")
            return self.numbers[entry.start : entry.start + count]

    def remove(self, key: str) -> None:
        """End a series; its room is for others. Nobody may write to its cells any more."""
        with self._lock:
            entry = self.entries().get(key)
            if entry is not None:
                self._remove(key, entry)

    def _make(self, key: str, count: int, *, at_end: bool) -> Entry | None:
        """None if there is no room."""
        content = bytes(count * self.numbers.itemsize) + key.encode()
        if len(key) > LONGEST_KEY or count > MOST_NUMBERS:
            return None
        gap = bytes(_units_of(len(content)))
        unit = self._taken.rfind(gap) if at_end else self._taken.find(gap)
        if unit < 0:
            return None
        at = self._base + unit * UNIT
        self._memory[at : at + len(content)] = content
        self._last += 1
        word = self._last << (KEY_BITS + COUNT_BITS) | count << KEY_BITS | len(key)
        self._directory[unit] = word
        entry = self._entry(unit, word)
        self._take(key, entry, 1)
        self._changed({**self._entries, key: entry})
        return entry

    def _remove(self, key: str, entry: Entry) -> None:
        self._directory[self._unit_of(entry)] = 0
        self._take(key, entry, 0)
        self._changed({each: entry for each, entry in self._entries.items() if each != key})

    def _changed(self, entries: dict[str, Entry]) -> None:
        self._words[CHANGES] += 1
        self._entries, self._looked_at = entries, self._words[CHANGES]

    def _unit_of(self, entry: Entry) -> int:
        return (entry.start * self.numbers.itemsize - self._base) // UNIT

    def _take(self, key: str, entry: Entry, taken: int) -> None:
        """Mark the units of an entry."""
        unit = self._unit_of(entry)
        units = _units_of(entry.length * self.numbers.itemsize + len(key))
        self._taken[unit : unit + units] = bytes([taken]) * units

    def _refuse(self, key: str) -> None:
        self._words[REFUSED] += 1
        _, name, *labels = json.loads(key)
        series = f"{name}{{{', '.join(labels)}}}"
        if not self.without_room:
            log.error(
                "there is no room in the shared memory for the series %s: it is not in /metrics; "
                "others that find none are counted in digitserve_series_without_room_total, "
                "and named in /v1/status",
                series,
            )
        if len(self.without_room) < MOST_NAMES:
            self.without_room[series] = None


def _units_of(size: int) -> int:
    return -(-size // UNIT)
