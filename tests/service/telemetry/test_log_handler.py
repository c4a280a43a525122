"""Lines wait for whoever reads them, and nobody waits for that."""

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
    """Its end for writing stays open: a log_handler's thread may still wait for it."""
    ends = os.pipe()
    yield ends
    with suppress(OSError):  # the test has
        os.close(ends[0])


def event(number: int) -> Fields:
    return {"level": "info", "logger": "test", "event": "x" * 300, "number": number}


def read(descriptor: int, until: str) -> list[dict[str, Any]]:
    """The events that come, until one says that."""
    content = bytearray()
    while until.encode() not in content[-1000:]:
        readable, _, _ = select.select([descriptor], [], [], PATIENCE)
        assert readable, content[-1000:]
        content += os.read(descriptor, 65536)
    return [json.loads(line) for line in content.splitlines()]


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_costs_the_oldest_lines(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])

    def tell() -> None:
        for number in range(3 * MOST):
            log_handler.write(event(number))

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    telling.join(PATIENCE)
    assert not telling.is_alive()
    dropped = log_handler.dropped
    assert dropped >= MOST  # of three times as many, one waits, and a pipe and a write hold few
    log_handler.write(event(-1) | {"event": "the last"})
    events = read(pipe[0], until="the last")
    reported = [each for each in events if "dropped" in each]
    assert sum(each["dropped"] for each in reported) == dropped + 1  # for the last took a place
    numbers = [each["number"] for each in events if "number" in each]
    assert numbers[-2:] == [3 * MOST - 1, -1]
    assert numbers[:-1] == sorted(numbers[:-1])
    assert len(numbers) + dropped + 1 == 3 * MOST + 1


def test_what_was_told_is_written_when_flush_returns(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])
    for number in range(100):
        log_handler.write(event(number))
    log_handler.flush()
    os.set_blocking(pipe[0], False)
    assert len(os.read(pipe[0], 1 << 20).splitlines()) == 100


def test_flush_gives_up_where_nobody_reads(pipe: Pipe) -> None:
    log_handler = AsyncLogHandler(json_line, pipe[1])
    for number in range(1000):
        log_handler.write(event(number))
    began = time.monotonic()
    log_handler.flush()
    assert 1 < time.monotonic() - began < PATIENCE


def test_a_pipe_whose_reader_is_gone_is_no_end(pipe: Pipe) -> None:
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
    for number in range(2000):  # ten times what the pipe holds
        log_handler.write(event(number))
    log_handler.write({"event": "the last"})
    assert len(read(pipe[0], until="the last")) == 2001
    assert log_handler.dropped == 0


def test_who_is_interrupted_while_it_logs_may_log_again(pipe: Pipe) -> None:
    """As a signal's handler does: here the line's own shape."""
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
    said = [each["event"] for each in read(pipe[0], until="from without")]
    assert said == ["from within", "from without"]


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


def test_lines_of_several_processes_do_not_mix_however_long_they_are() -> None:
    """A pipe takes what is longer than 4 kB in pieces."""
    ours, theirs = os.pipe()
    memory = reserve(4096)  # all of them inherit one description of it
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

def tell(event):
    log_handler.write({"ts": "", "level": "info", "logger": "test", "event": event})
    log_handler.flush()

# A limit on the size of a file stands for a disk that is full, and then is not.
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
log_handler = AsyncLogHandler(json_line, sys.stdout.fileno())
resource.setrlimit(resource.RLIMIT_FSIZE, (150, most))
for _ in range(3):
    tell("x" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
tell("there is room again")
"""


def test_a_line_that_a_full_disk_broke_off_takes_no_other_with_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stdout:
        subprocess.run([sys.executable, "-c", FULL], cwd=ROOT, stdout=stdout, check=True)
    whole, broken, notice, last = log.read_text().splitlines()
    assert json.loads(whole)["event"] == "x" * 50
    assert not broken.endswith("}")
    assert json.loads(notice)["dropped"] == 2
    assert json.loads(last)["event"] == "there is room again"
