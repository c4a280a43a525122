"""Where the log goes: lines wait in memory until a thread has written them.

    event loop, other threads --write, 1 us--> at most MOST lines --one thread--> stdout

Nobody who logs ever waits: a pipe that nobody reads stops the thread alone. When there are too many
lines, the oldest are dropped, and a later line says how many. A pipe that is gone, or a full disk,
drops them as well, and ends nothing. What was logged last is written before the process ends.

Workers share one pipe, which takes more than 4 kB in pieces: a lock on the memory that they share
gives them turns.
"""

import fcntl
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from service.telemetry.logs.format import Fields, fields_of, timestamp

MOST = 16_384  # lines that wait: one second of a full load, some 5 MB
AT_ONCE = 1024  # lines of one write
# Seconds between two writes, unless there is more than one takes: each time that the thread wakes,
# the event loop gives the interpreter to it and has to wait until it is given back.
PAUSE = 0.02
GRACE = 2.0  # seconds for the last lines, if nobody reads them

LINE_END = ord("\n")

Shape = Callable[[Fields], bytes]


class AsyncLogHandler(logging.Handler):
    def __init__(self, shape: Shape, descriptor: int, worker: int | None = None) -> None:
        """`worker` is told in each line, where there are several."""
        super().__init__()
        self._shape = shape
        self._descriptor = descriptor
        self._worker = worker
        # Not behind a lock of ours: a signal's handler that logs may interrupt who is logging.
        self._waiting: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._pushed_out = 0  # lines, by newer ones
        self._unwritten = 0  # lines that could not be written
        self._broken_off = False  # a disk was full in the middle of a line
        self._turns: int | None = None  # descriptor of what is locked for a write
        threading.Thread(target=self._write_on, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """Lines, until now."""
        return self._pushed_out + self._unwritten

    def share_lock(self, descriptor: int) -> None:
        """Write only while no other process does that was given the same file."""
        self._turns = descriptor

    def write(self, fields: Fields) -> None:
        """Have an event written soon."""
        if self._worker is not None:
            fields["worker"] = self._worker
        if self._waiting.qsize() >= MOST:
            with suppress(Empty):
                self._waiting.get_nowait()
                self._pushed_out += 1
        self._waiting.put(self._shape(fields))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write(fields_of(record))
        except Exception:  # a mistake in what is logged must not end who logs it
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all that was told is written, but not for ever. `logging` does at exit."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(GRACE)

    # ---- the thread ---------------------------------------------------------------------------

    def _write_on(self) -> None:
        said = 0  # of those dropped
        while True:
            taken = self._next()
            lines = [each for each in taken if isinstance(each, bytes)]
            dropped = self.dropped
            notice = self._notice(dropped - said) if lines and dropped > said else b""
            try:
                self._write(notice + b"".join(lines))
                said = dropped
            except OSError:  # nobody is there to read it, or a disk is full: that may pass
                self._unwritten += len(lines)
            for each in taken:
                if isinstance(each, threading.Event):
                    each.set()
            if len(taken) < AT_ONCE:
                time.sleep(PAUSE)

    def _next(self) -> list[bytes | threading.Event]:
        """What waits, once anything does."""
        taken = [self._waiting.get()]
        with suppress(Empty):
            while len(taken) < AT_ONCE:
                taken.append(self._waiting.get_nowait())
        return taken

    def _notice(self, count: int) -> bytes:
        fields: Fields = {
            "ts": timestamp(time.time()),
            "level": "warning",
            "logger": "service",
            "event": f"{count} lines of the log were dropped: nobody took them in time",
            "dropped": count,
        }
        if self._worker is not None:
            fields["worker"] = self._worker
        return self._shape(fields)

    def _write(self, content: bytes) -> None:
        rest = memoryview(b"\n" + content if self._broken_off else content)
        with self._turn():
            while rest:
                try:
                    written = os.write(self._descriptor, rest)
                    self._broken_off = rest[written - 1] != LINE_END
                    rest = rest[written:]
                except BlockingIOError:  # who shares the terminal or the pipe has made it so
                    select.select([], [self._descriptor], [])

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._turns is None:
            yield
            return
        # Not flock, which locks for all that have inherited a descriptor together.
        fcntl.lockf(self._turns, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._turns, fcntl.LOCK_UN)
