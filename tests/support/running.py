"""A real `python -m service` process on a free port."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

from contract.store import Store
from service.api.metrics import SHARED
from tests.support.forks import Forked, forked
from tests.support.program import PATIENCE, Program

ROOT = Path(__file__).parent.parent.parent
PLAIN = (sys.executable, "-m", "service")
TOKEN = "a-token-of-sixteen-letters-or-more"
T = TypeVar("T")
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


class Service(Program):
    command: Sequence[str] = PLAIN
    folder = ROOT
    _scraped = -math.inf  # when /metrics was last read by a `client`, in time.monotonic()
    stderr = subprocess.STDOUT  # the stream with messages for people, such as errors at start

    def __init__(self, models: Path | str, **settings: object) -> None:
        variables = {f"DIGITSERVE_{name.upper()}": str(value) for name, value in settings.items()}
        super().__init__(
            self.command,
            folder=self.folder,
            environment=clean_environment()
            | {"DIGITSERVE_MODELS": str(models), "DIGITSERVE_PORT": "0"}
            | variables,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
        )

    def start(
        self,
        command: Sequence[str],
        folder: Path | None,
        environment: Mapping[str, str] | None,
        stdout: int | None,
        stderr: int,
    ) -> subprocess.Popen[str] | Forked:
        process = None
        if command[:-1] == PLAIN[:-1] and stderr == subprocess.STDOUT:
            process = forked(command[-1], environment or {})
        return process or super().start(command, folder, environment, stdout, stderr)

    @classmethod
    @contextmanager
    def started(cls, models: Path | str, **settings: object) -> Iterator[Self]:
        """A service that is ready; it is stopped with the block."""
        with cls(models, **settings).while_ready() as service:
            yield service

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in the log."""
        return [json.loads(line) for line in self._lines if line.startswith("{")]

    def client(self, **options: object) -> httpx2.Client:
        """A client whose GET /metrics waits until the text of an earlier one has expired."""
        hooks: dict[str, list[Callable[..., None]]] = {
            "request": [self._before_scrape],
            "response": [self._after_scrape],
        }
        return httpx2.Client(
            base_url=self.url,
            verify=False,  # no TLS, which saves 50 ms of CPU
            timeout=PATIENCE,
            event_hooks=hooks,
            **options,  # type: ignore[arg-type]
        )

    def _before_scrape(self, request: httpx2.Request) -> None:
        if request.url.path == "/metrics":
            time.sleep(max(0.0, self._scraped + SHARED - time.monotonic()))

    def _after_scrape(self, response: httpx2.Response) -> None:
        if response.request.url.path == "/metrics":
            self._scraped = time.monotonic()

    def send(self, sig: signal.Signals) -> None:
        self.process.send_signal(sig)

    def hear(self, line: str) -> bool:
        ready = re.search(r"ready on (http://\S+?),|curl .* (http://\S+)/v1/", line)
        if ready is not None:
            self.url = ready.group(1) or ready.group(2)
        return ready is not None


@contextmanager
def two_workers(store: Store, **settings: object) -> Iterator[Service]:
    """Two workers that follow the store only on request."""
    with Service.started(
        store.folder.parent,
        workers=2,
        admin_token=TOKEN,
        watch_seconds=0,
        drain_seconds=0,
        **settings,
    ) as service:
        yield service
        service.send(signal.SIGTERM)  # if killed, it would leave workers that end some time later
        service.exit_code()


def status(service: Service) -> Any:
    """Over a separate connection, so that any worker may answer."""
    with service.client() as client:
        return client.get("/v1/status").json()


def wait_for(value: Callable[[], T | None], service: Service) -> T:
    """The first result of `value` that is not None."""
    found: list[T] = []

    def returns() -> bool:
        found.extend(each for each in [value()] if each is not None)
        return bool(found)

    wait_until(returns, service)
    return found[0]


def wait_until(condition: Callable[[], object], program: Program) -> None:
    """Wait for a condition; on a timeout, show the output of the program."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, program.log
        time.sleep(0.01)


def wait_to_read(pattern: str, service: Service) -> None:
    """Wait for a log line, which is written by a thread: a response may arrive before its line."""
    wait_until(lambda: re.search(pattern, service.log), service)


def clean_environment() -> dict[str, str]:
    """The environment of this process without settings of the service that would affect a test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DIGITSERVE_")}
