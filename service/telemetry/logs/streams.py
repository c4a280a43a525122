"""Descriptors 1 and 2, which native libraries write to, replaced by a pipe that this process reads.

    libpng, libtiff, ONNX Runtime, CUDA --write--> pipe --a thread--> the log, logger "native"

The pipe is non-blocking: a write never waits, and what finds it full is lost. The log, and text for
a person such as the command that tries the service, go to the original streams, which are kept
here. With several workers the supervisor owns the pipe and the thread, and its workers inherit the
pipe: what a worker wrote just before it crashed is logged all the same.
"""

import atexit
import faulthandler
import fcntl
import logging
import os
import select
import sys
import threading
import time
from contextlib import suppress
from itertools import groupby

LONGEST = 8000  # characters of one event: a line of the log holds no more
PAUSE = 0.5  # seconds between two events, so that a flood costs two lines of the log a second
GATHER = 0.05  # seconds from the first write to the event, for the writes that belong to it
CAPACITY = 2**20  # bytes, which pages are taken for as they are written
PATIENCE = 0.5  # seconds that a person's terminal may take for a sentence

log = logging.getLogger("native")


class Streams:
    """The standard streams of this process. `stdout` and `stderr` are descriptors; None: closed."""

    def __init__(self) -> None:
        self.stdout = None if sys.stdout is None else 1
        self.stderr = None if sys.stderr is None else 2
        self._messages = 0  # lines that libraries wrote
        self._left_out = 0  # of them, lines that are in no event
        self._pipe = -1  # the end that is read

    @property
    def counts(self) -> tuple[int, int]:
        """Lines that libraries wrote until now, and how many of them the log left out."""
        return self._messages, self._left_out

    def show(self, text: str) -> None:
        """Write for a person to the original stderr; give up if nothing reads it."""
        if self.stderr is None or not text:
            return
        # By a thread: a terminal or a socket may have room for a part of it and then wait for ever,
        # and to make it non-blocking would do so for every program that shares it.
        writing = threading.Thread(target=_write, args=(self.stderr, text), daemon=True)
        writing.start()
        writing.join(PATIENCE)

    def keep_from_libraries(self) -> None:
        """Log everything written to descriptors 1 and 2 from now on."""
        self.stdout = None if self.stdout is None else _above_standard(self.stdout)
        self.stderr = None if self.stderr is None else _above_standard(self.stderr)
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._pipe, write = map(_above_standard, ends)
        for end in ends:
            os.close(end)
        with suppress(OSError):  # then it holds what pipes usually do
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, CAPACITY)
        for standard in (1, 2):
            os.dup2(write, standard)
        os.close(write)
        if (crashes := _reopened(self.stderr)) is not None:
            faulthandler.enable(crashes)
        threading.Thread(target=self._read_on, name="native", daemon=True).start()
        atexit.register(self._log_what_waits)

    def keep_stdout_from_libraries(self) -> None:
        """The same in a worker, whose descriptor 2 is the supervisor's pipe already."""
        self.stdout = _above_standard(1)
        os.dup2(2, 1)
        faulthandler.enable(2)

    def _read_on(self) -> None:
        while True:
            select.select([self._pipe], [], [])
            time.sleep(GATHER)
            self._log_what_waits()
            time.sleep(PAUSE - GATHER)

    def _log_what_waits(self) -> None:
        full = not select.select([], [2], [], 0)[1]
        content = b""
        with suppress(BlockingIOError):
            content = os.read(self._pipe, CAPACITY)
        lines = content.decode(errors="replace").splitlines()
        if not lines:
            return
        text, kept = _folded(lines)
        self._messages += len(lines)
        self._left_out += len(lines) - kept
        extra: dict[str, object] = {"lines": len(lines)}
        if kept < len(lines):
            extra["left_out"] = len(lines) - kept
        if full:  # their number is unknown
            extra["lost"] = "more, the pipe was full"
        log.warning("%s", text, extra=extra)


def _folded(lines: list[str]) -> tuple[str, int]:
    """As many lines as one event holds, equal neighbours as one, and how many those are."""
    kept: list[str] = []
    length = count_kept = 0
    for line, group in groupby(lines):
        count = sum(1 for _ in group)
        line = line[:LONGEST] if count == 1 else f"{line[:LONGEST]} ({count} times)"
        length += len(line) + 1
        if kept and length > LONGEST:
            break
        kept.append(line)
        count_kept += count
    return "\n".join(kept), count_kept


def _above_standard(descriptor: int) -> int:
    """A duplicate whose number is none of a standard stream's, also where one of them is closed."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _reopened(descriptor: int | None) -> int | None:
    """The same file, terminal or pipe, for writes that never wait; None where it is none of them.

    What a crash leaves must not keep the process from ending. A flag of the descriptor itself would
    be seen by every program that shares it.
    """
    if descriptor is None:
        return None
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_NOCTTY
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:  # a socket, or not ours to open
        return None


def _write(descriptor: int, text: str) -> None:
    rest = text.encode(errors="backslashreplace")
    with suppress(OSError):  # the reader is gone, or a disk is full
        while rest:
            rest = rest[os.write(descriptor, rest) :]


STREAMS = Streams()  # a process has one set of them
