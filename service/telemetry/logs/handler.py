"""The handler that writes the log: a bounded queue and the thread that empties it.

    event loop, other threads --write, 1 us--> at most MOST lines --one thread--> stdout

A slow or absent reader of the log stops this thread alone and never blocks the service. When the
queue is full the oldest lines are dropped, and a later line says how many; lines for a closed pipe
or a full disk are dropped as well. At exit the thread has GRACE seconds for the last lines.

Workers share one pipe, which takes more than 4 kB in pieces: a lock on the memory that they share
makes them write in turn. The standard library's QueueListener writes each line by itself, at the
same CPU time, but wakes for each: every time a thread wakes, the event loop has to wait for it.
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
# Seconds between two writes, unless more than AT_ONCE lines wait.
PAUSE = 0.02
GRACE = 2.0  # seconds that `flush` waits for a reader

LINE_END = ord("\n")

Shape = Callable[[Fields], bytes]


class AsyncLogHandler(logging.Handler):
    def __init__(self, shape: Shape, descriptor: int, worker: int | None = None) -> None:
        """`worker` is added to each line if there are several."""
        super().__init__()
        self._shape = shape
        self._descriptor = descriptor
        self._worker = worker
        # Without a lock of ours: a signal handler that logs may interrupt a thread that is logging.
        self._waiting: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._pushed_out = 0  # lines dropped for newer ones
        self._unwritten = 0  # lines that could not be written
        self._broken_off = False  # the last write ended within a line, as on a full disk
        self._lock_file: int | None = None  # locked for each write
        threading.Thread(target=self._write_lines, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """The number of lines dropped until now."""
        return self._pushed_out + self._unwritten

    def share_lock(self, descriptor: int) -> None:
        """Take turns with the other processes that are given the same file."""
        self._lock_file = descriptor

    def write(self, fields: Fields) -> None:
        """Queue an event."""
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
        except Exception:  # a defect in a logging call must not end its caller
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all is written, at most GRACE seconds; `logging` calls it at exit."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(GRACE)

    def _write_lines(self) -> None:
        reported = 0  # dropped lines
        while True:
            taken = self._next()
            lines = [each for each in taken if isinstance(each, bytes)]
            dropped = self.dropped
            notice = self._notice(dropped - reported) if lines and dropped > reported else b""
            try:
                self._write(notice + b"".join(lines))
                reported = dropped
            except OSError:  # the pipe is closed or the disk full, which may pass
                self._unwritten += len(lines)
            for each in taken:
                if isinstance(each, threading.Event):
                    each.set()
            if len(taken) < AT_ONCE:
                time.sleep(PAUSE)

    def _next(self) -> list[bytes | threading.Event]:
        """The next lines, as soon as there are any."""
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
            "event": f"{count} lines of the log were dropped: the reader was too slow",
            "dropped": count,
        }
        if self._worker is not None:
            fields["worker"] = self._worker
        return self._shape(fields)

    def _write(self, content: bytes) -> None:
        rest = memoryview(b"\n" + content if self._broken_off else content)
        with self._exclusive():
            while rest:
                try:
                    written = os.write(self._descriptor, rest)
                    self._broken_off = rest[written - 1] != LINE_END
                    rest = rest[written:]
                except BlockingIOError:
                    # Another process that shares the terminal or pipe set it non-blocking.
                    select.select([], [self._descriptor], [])

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self._lock_file is None:
            yield
            return
        # Not flock, which locks for all that have inherited a descriptor together.
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)
