"""What native libraries write to stderr is logged, and an unread stderr blocks nothing."""

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contract.store import Store
from contract.version import Version
from tests.support import fetch
from tests.support.metrics import metric
from tests.support.program import PATIENCE
from tests.support.running import ROOT, Service, clean_environment, status, wait_until

pytestmark = pytest.mark.slow


def _damaged() -> bytes:
    """A TIFF with an invalid LZW code, about which libtiff writes one line to descriptor 2."""
    file = BytesIO()
    Image.new("L", (28, 28)).save(file, "TIFF", compression="tiff_lzw")
    body = bytearray(file.getvalue())
    body[20:26] = b"\xff" * 6
    return bytes(body)


DAMAGED = _damaged()
LINE = "tempfile.tif: Using code not yet in table."


@pytest.fixture
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The writing end of a full pipe that is never read."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(size))
    yield writing
    os.close(writing)
    os.close(reading)


def logged(service: Service) -> list[dict[str, Any]]:
    """The lines of native libraries in the log."""
    return [event for event in service.events if event["logger"] == "native"]


def send(service: Service, count: int) -> None:
    with service.client() as client:
        for _ in range(count):
            assert client.post("/v1/predict", content=DAMAGED).status_code == 422


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unread_stderr_blocks_neither_start_nor_requests_nor_stop(
    models: Path, workers: int, full_pipe: int
) -> None:
    class Unread(Service):
        stderr = full_pipe

    with Unread.started(models, workers=workers, drain_seconds=0) as service:
        send(service, 50)
        assert fetch.get(f"{service.url}/livez").status_code == 200
        wait_until(lambda: metric(service, "native_messages_total") == 50, service)
        assert metric(service, "native_dropped_total") == 0
        wait_until(lambda: sum(event["lines"] for event in logged(service)) == 50, service)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    assert {event["event"].partition(" (")[0] for event in logged(service)} == {LINE}


@pytest.mark.parametrize(("words", "port"), [([], "none"), (["--none"], "0")])
def test_invalid_settings_and_flags_fail_the_start_with_an_unread_stderr(
    words: list[str], port: str, full_pipe: int
) -> None:
    service = subprocess.Popen(
        [sys.executable, "-m", "service", *words],
        cwd=ROOT,
        env=clean_environment() | {"DIGITSERVE_PORT": port},
        stderr=full_pipe,
    )
    try:
        assert service.wait(PATIENCE) == 2
    finally:
        service.kill()


def test_excess_lines_of_libraries_are_dropped_and_counted(models: Path) -> None:
    """Here the process itself writes different lines as fast as it can."""
    program = r"""
import logging, os, time
from service.telemetry.logs.setup import start_log
from service.settings import Settings
from service.telemetry.logs.streams import STREAMS

STREAMS.keep_from_libraries()
start_log(Settings())
began = time.monotonic()
for number in range(20_000):
    os.write(2, b"libtiff: %d\n" % number)
while STREAMS.counts[0] < 20_000:
    time.sleep(0.01)
os.write(1, b"the last")
seconds = time.monotonic() - began
logging.getLogger("test").warning("%d left out in %d s", STREAMS.counts[1], seconds)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    (reported,) = (line for line in lines if "left out in" in line)
    left_out, seconds = map(int, re.findall(r"(\d+) left out in (\d+) s", reported)[0])
    flood = [line for line in lines if "libtiff: " in line]
    assert len(flood) <= 2 * (seconds + 2)
    assert max(map(len, lines)) < 10_000
    assert sum(line.count("libtiff: ") for line in flood) == 20_000 - left_out > 0
    assert '"event":"the last"' in lines[-1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_still_shows_the_python_stack(models: Path, workers: int) -> None:
    """Alone on stderr; that of a worker is logged by the supervisor."""
    with Service.started(models, workers=workers, drain_seconds=0) as service:
        os.kill(status(service)["workers"][0]["pid"], signal.SIGSEGV)
        wait_until(lambda: "Fatal Python error: Segmentation fault" in service.log, service)
        assert bool(logged(service)) == (workers > 1)
