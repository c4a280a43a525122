"""Log lines are written by a thread, and logging never waits for their reader."""

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.telemetry.logs.format import Fields, json_line
from service.telemetry.logs.handler import MOST, AsyncLogHandler
from service.telemetry.metrics.shared_memory import reserve
from tests.support.program import PATIENCE
from tests.support.running import ROOT

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """The writing end stays open: a thread of a log handler may still be blocked on it."""
    ends = os.pipe()
    yield ends
    with suppress(OSError):  # the test may have closed it
        os.close(ends[0])


def event(number: int) -> Fields:
    return {"level": "info", "logger": "test", "event": "x" * 300, "number": number}


def read(descriptor: int, until: str) -> list[dict[str, Any]]:
    """Read events until one contains `until`."""
    content = bytearray()
    while until.encode() not in content[-1000:]:
        readable, _, _ = select.select([descriptor], [], [], PATIENCE)
        assert readable, content[-1000:]
        content += os.read(descriptor, 65536)
    return [json.loads(line) for line in content.splitlines()]


def test_an_unread_pipe_does_not_block_logging_and_drops_the_oldest_lines(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])

    def write_all() -> None:
        for number in range(3 * MOST):
            log_handler.write(event(number))

    writer = threading.Thread(target=write_all, daemon=True)
    writer.start()
    writer.join(PATIENCE)
    assert not writer.is_alive()
    dropped = log_handler.dropped
    assert dropped >= MOST  # of three times as many, one is being written, and the pipe holds a few
    log_handler.write(event(-1) | {"event": "the last"})
    events = read(pipe[0], until="the last")
    reported = [each for each in events if "dropped" in each]
    assert sum(each["dropped"] for each in reported) == dropped + 1  # the last line displaced one
    numbers = [each["number"] for each in events if "number" in each]
    assert numbers[-2:] == [3 * MOST - 1, -1]
    assert numbers[:-1] == sorted(numbers[:-1])
    assert len(numbers) + dropped + 1 == 3 * MOST + 1


def test_flush_returns_when_all_lines_are_written(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])
    for number in range(100):
        log_handler.write(event(number))
    log_handler.flush()
    os.set_blocking(pipe[0], False)
    assert len(os.read(pipe[0], 1 << 20).splitlines()) == 100


def test_flush_times_out_if_the_pipe_is_not_read(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])
    for number in range(1000):
        log_handler.write(event(number))
    began = time.monotonic()
    log_handler.flush()
    assert 1 < time.monotonic() - began < PATIENCE


def test_a_closed_pipe_does_not_stop_logging(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])
    os.close(pipe[0])
    log_handler.write(event(0))
    log_handler.flush()
    log_handler.write(event(1))
    log_handler.flush()
    assert log_handler.dropped == 2


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe[1], False)
    log_handler = AsyncLogHandler(json_line, pipe[1])
    for number in range(2000):  # ten times the capacity of the pipe
        log_handler.write(event(number))
    log_handler.write({"event": "the last"})
    assert len(read(pipe[0], until="the last")) == 2001
    assert log_handler.dropped == 0


def test_logging_while_logging_is_possible(pipe: Pipe) -> None:
    """As in a signal handler; here, in the formatter."""
    inside: list[bool] = []

    def shape(fields: Fields) -> bytes:
        if not inside:
            inside.append(True)
            logging.getLogger("test of interruption").warning("from within")
        return json_line(fields)

    log_handler = AsyncLogHandler(shape, pipe[1])
    log = logging.getLogger("test of interruption")
    log.addHandler(log_handler)
    thread = threading.Thread(target=log.warning, args=("from without",))
    thread.start()
    thread.join(PATIENCE)
    log.removeHandler(log_handler)
    assert not thread.is_alive()
    events = [each["event"] for each in read(pipe[0], until="from without")]
    assert events == ["from within", "from without"]


WRITER = """
import sys
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.format import json_line

log_handler = AsyncLogHandler(json_line, 1, int(sys.argv[1]))
log_handler.share_lock(int(sys.argv[2]))
for number in range(200):
    log_handler.write({"event": "x" * 20_000, "number": number})
log_handler.flush()
"""


def test_lines_of_several_processes_do_not_mix_at_any_length() -> None:
    """A write of more than 4 kB to a pipe is not atomic."""
    ours, theirs = os.pipe()
    memory = reserve(4096)  # the writers share one open file description
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(memory)],
            cwd=ROOT,
            stdout=theirs,
            pass_fds=[memory],
        )
        for number in range(3)
    ]
    os.close(theirs)
    with os.fdopen(ours) as lines:
        events = [json.loads(line) for line in lines]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0, 0]
    for worker in range(3):
        numbers = [each["number"] for each in events if each["worker"] == worker]
        assert numbers == list(range(200))


FULL = r"""
import os, resource, sys
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.format import json_line

def log(event):
    log_handler.write({"ts": "", "level": "info", "logger": "test", "event": event})
    log_handler.flush()

# A limit on the size of a file simulates a disk that is full for a while.
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
log_handler = AsyncLogHandler(json_line, sys.stdout.fileno())
resource.setrlimit(resource.RLIMIT_FSIZE, (150, most))
for _ in range(3):
    log("x" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
log("there is room again")
"""


def test_a_line_cut_off_by_a_full_disk_affects_no_other_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stdout:
        subprocess.run([sys.executable, "-c", FULL], cwd=ROOT, stdout=stdout, check=True)
    whole, broken, notice, last = log.read_text().splitlines()
    assert json.loads(whole)["event"] == "x" * 50
    assert not broken.endswith("}")
    assert json.loads(notice)["dropped"] == 2
    assert json.loads(last)["event"] == "there is room again"
