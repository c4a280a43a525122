"""A process writes its whole log to stdout, as one event per line, from start to stop."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from contract.version import Version
from service.telemetry.logs.handler import MOST
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.memory import resident
from tests.support.metrics import counted
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.program import PATIENCE
from tests.support.running import ROOT, Service, clean_environment, wait_until

pytestmark = pytest.mark.slow

SMALL = encoded(seven(side=28))


@pytest.fixture
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


def events_of(service: Service) -> list[dict[str, Any]]:
    """All events in the output except for the example command; each must be JSON."""
    lines = [line for line in service.log.splitlines() if line and "  curl " not in line]
    events = [json.loads(line) for line in lines]
    for event in events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["ts"])
        assert event["level"] in ("debug", "info", "warning", "error", "critical")
        assert {"logger", "event"} <= set(event)
    return events


def provoke_errors(service: Service) -> None:
    for path in ("/nowhere", "/livez", "/v1/models/nobody"):
        fetch.get(f"{service.url}{path}")
    for body in (SEVEN, b"no picture", b""):
        fetch.post(f"{service.url}/v1/predict", content=body)
    with connected(service) as connection:
        connection.send(b"this is \x1b[31m no HTTP\r\n\r\n")
        assert connection.answer()[0] == 400


@pytest.mark.parametrize("workers", [1, 2])
def test_every_line_is_json_from_start_to_stop(models: Path, workers: int) -> None:
    with Service.started(models, workers=workers, access_log="all", drain_seconds=0) as service:
        for _ in range(4):  # over separate connections, so that each worker gets some
            provoke_errors(service)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    events = events_of(service)
    assert {event.get("worker") for event in events} == ({None} if workers == 1 else {None, 0, 1})
    assert sum(event["logger"] == "access" for event in events) == 4 * 7
    assert events[-1]["event"] == "stopped"


def test_at_debug_level_uvicorn_logs_in_the_same_format(models: Path) -> None:
    with Service.started(models, log_level="debug", drain_seconds=0) as service:
        provoke_errors(service)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    output = {event["event"] for event in events_of(service) if event["logger"] == "uvicorn.error"}
    assert "Application startup complete." in output
    assert any(each.startswith("Started server process") for each in output)


def test_a_failed_start_is_logged_as_an_event(tmp_path: Path) -> None:
    service = Service(tmp_path)
    assert service.exit_code() == 2
    (event,) = events_of(service)
    assert event["level"] == "critical"
    assert "make export" in event["event"]


@pytest.mark.parametrize("value", ["true", "1", "False", "0", "some", ""])
def test_an_invalid_access_log_mode_is_rejected(models: Path, value: str) -> None:
    service = Service(models, access_log=value)
    assert service.exit_code() == 2
    assert service.log == (
        f"service: DIGITSERVE_ACCESS_LOG={value}: Input should be 'off', 'sampled' or 'all'\n"
    )


# ---- on a terminal --------------------------------------------------------------------------


@contextmanager
def on_terminal(models: Path, **settings: str) -> Iterator[tuple[str, str]]:
    """The output on a terminal until the service is ready, and its address."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=environment(models, **settings),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        output = ""
        while not (found := re.search(r"  curl .* (http://\S+)/v1/predict\s*\n\r?\n", output)):
            output += os.read(ours, 65536).decode()
        yield output, found.group(1)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def environment(models: Path, **settings: str) -> dict[str, str]:
    ours = {"MODELS": str(models), "PORT": "0", **settings}
    return clean_environment() | {f"DIGITSERVE_{name}": value for name, value in ours.items()}


def test_on_a_terminal_the_log_is_text_and_the_example_command_comes_last(models: Path) -> None:
    with on_terminal(models) as (output, url):
        *lines, before, command, after = output.replace("\r\n", "\n").removesuffix("\n").split("\n")
    assert (before, after) == ("", "")
    assert command.startswith("  curl ")
    assert all(re.match(r"[\d-]+T[\d:.]+Z INFO service: \w", line) for line in lines)
    assert f" ready on {url}, API at " in lines[-1]


def test_the_format_setting_overrides_the_detection_of_a_terminal(models: Path) -> None:
    with on_terminal(models, LOG_FORMAT="json") as (output, _):
        assert json.loads(output.splitlines()[0])["level"] == "info"
    with Service.started(models, log_format="text") as service:
        assert re.match(r"[\d-]+T[\d:.]+Z INFO service: digits version 1", service.log)


# ---- unread output --------------------------------------------------------------------------


class Unread(Service):
    """The stdout of this service is only read on request."""

    stderr = subprocess.PIPE  # which also has its address

    def read(self) -> list[dict[str, Any]]:
        """The buffered events, and all others until the service stops."""
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            return [json.loads(line) for line in lines]


def statuses(service: Service, count: int, body: bytes = b"") -> set[bytes]:
    """The statuses of so many requests, sent a few at a time; each of them is logged."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(connected(service)).socket for _ in range(32)]
        data, answers = request(body), set()
        for _ in range(count // 32 + 1):
            for each in sockets:
                each.sendall(data)
            answers |= {each.recv(65536)[:12] for each in sockets}
    return answers


def test_an_unread_log_does_not_block_predictions(models: Path) -> None:
    """The pipe is full, as with a container runtime that hangs, while each request is logged."""
    with Unread.started(models, access_log="all", drain_seconds=0) as service:
        before = resident(service)
        while not counted(service, "log_dropped_total"):
            assert statuses(service, MOST // 4) == {b"HTTP/1.1 400"}
        assert resident(service) - before < 40e6  # the lines amount to 5e6 of them
        assert statuses(service, 300, SMALL) == {b"HTTP/1.1 200"}
        service.send(signal.SIGTERM)
        events = service.read()
        assert service.exit_code() == 0
    reported = [event for event in events if "dropped" in event]
    assert sum(event["dropped"] for event in reported) > 0
    assert {"POST /v1/predict 200", "stopped"} <= {event["event"] for event in events}
    assert events[-1]["event"] == "stopped"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unread_log_does_not_block_the_stop(models: Path, workers: int) -> None:
    settings = {"workers": workers, "access_log": "all", "drain_seconds": 0}
    with Unread.started(models, **settings) as service:
        statuses(service, 3000)  # more than the capacity of the pipe
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert service.process.stdout is not None
        service.process.stdout.close()


def test_a_closed_stdout_does_not_stop_the_service(models: Path) -> None:
    with Unread.started(models, access_log="all", drain_seconds=0) as service:
        assert service.process.stdout is not None
        service.process.stdout.close()
        assert statuses(service, 100, SMALL) == {b"HTTP/1.1 200"}
        wait_until(lambda: counted(service, "log_dropped_total") > 0, service)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0


# ---- uncaught exceptions --------------------------------------------------------------------

PROGRAM = r"""
import asyncio, logging, threading, warnings
from service.telemetry.logs.setup import log_errors_of_loop, start_log
from service.settings import Settings

def broken(*_):
    raise KeyError("broken")

class Broken:
    __del__ = broken

async def main():
    log_errors_of_loop()
    asyncio.get_running_loop().call_soon(broken, b"the body of a request")
    await asyncio.sleep(0)

start_log(Settings())
warnings.warn("old\nways")
thread = threading.Thread(target=broken)
thread.start()
thread.join()
asyncio.run(main())
Broken()
for number in range(5000):
    logging.getLogger("many").warning("number %d", number)
raise RuntimeError("the end")
"""


def test_uncaught_exceptions_are_logged_in_the_same_format_after_all_other_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (1, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    warned, thread, loop, ignored, *many, last = events
    assert (warned["logger"], warned["level"]) == ("py.warnings", "warning")
    assert "old\nways" in warned["event"]
    for event in (thread, loop, ignored):
        assert (event["level"], event["exception"]) == ("error", "KeyError: 'broken'")
        assert "in broken" in event["traceback"]
    assert "the body of a request" not in done.stdout
    assert [event["event"] for event in many] == [f"number {number}" for number in range(5000)]
    assert (last["level"], last["exception"]) == ("critical", "RuntimeError: the end")


def test_the_service_runs_without_a_stdout(models: Path) -> None:
    """The next file with its descriptor, such as a client's connection, must not get the log."""

    class Closed(Unread):
        command = ("bash", "-c", 'exec "$0" -m service >&-', sys.executable)

    with Closed.started(models, access_log="all", drain_seconds=0) as service:
        assert statuses(service, 100, SMALL) == {b"HTTP/1.1 200"}
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert service.read() == []


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_service_starts_if_the_example_command_cannot_be_printed(
    models: Path, workers: int, stderr: str
) -> None:
    class Mute(Service):
        command = ("bash", "-c", f'exec "$0" -m service {stderr}', sys.executable)

    with Mute.started(models, workers=workers, drain_seconds=0) as service:
        assert fetch.get(f"{service.url}/readyz").status_code == 200
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    assert "curl" not in service.log
    assert events_of(service)[-1]["event"] == "stopped"
