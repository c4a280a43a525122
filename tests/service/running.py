"""A real `python -m service` process on a free port, for tests to talk to."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from contract.store import Store

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0  # seconds; a start takes one, but machines may be busy
TOKEN = "a-token-of-sixteen-letters-or-more"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


class Service:
    command: Sequence[str] = (sys.executable, "-m", "service")
    stderr = subprocess.STDOUT  # where what is for people is, as why it could not start

    def __init__(self, models: Path, **settings: object) -> None:
        variables = {f"DIGITSERVE_{name.upper()}": str(value) for name, value in settings.items()}
        self._lines: list[str] = []
        self._settled = threading.Event()  # ready, or ended
        self.url = ""
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=clean_environment()
            | {"DIGITSERVE_MODELS": str(models), "DIGITSERVE_PORT": "0"}
            | variables,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    @contextmanager
    def started(cls, models: Path, **settings: object) -> Iterator[Self]:
        """A service that is ready; it is ended with the block."""
        service = cls(models, **settings)
        try:
            assert service._settled.wait(PATIENCE), service.log
            assert service.url, service.log
            yield service
        finally:
            service.process.kill()
            service.process.wait()
            service._reader.join()

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of the log."""
        return [json.loads(line) for line in self._lines if line.startswith("{")]

    def client(self, **options: object) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=PATIENCE, **options)  # type: ignore[arg-type]

    def send(self, sig: signal.Signals) -> None:
        self.process.send_signal(sig)

    def exit_code(self) -> int:
        """Wait for the end."""
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code

    def _read(self) -> None:
        read = self.process.stderr or self.process.stdout
        assert read is not None
        with read as lines:
            for line in lines:
                self._lines.append(line)
                if ready := re.search(r"ready on (http://\S+?),|curl .* (http://\S+)/v1/", line):
                    self.url = ready.group(1) or ready.group(2)
                    self._settled.set()
        self._settled.set()


@contextmanager
def two_workers(store: Store, **settings: object) -> Iterator[Service]:
    """Two workers that follow the store only when they are told to."""
    with Service.started(
        store.folder.parent,
        workers=2,
        admin_token=TOKEN,
        watch_seconds=0,
        drain_seconds=0,
        **settings,
    ) as service:
        yield service
        service.send(signal.SIGTERM)  # killed, it would leave a folder for the workers to remove
        service.exit_code()


def status(service: Service) -> Any:
    """Over a connection of its own, so that any worker may answer."""
    with service.client() as client:
        return client.get("/v1/status").json()


def wait_until(condition: Callable[[], object], service: Service) -> None:
    """What the service said is told if that does not become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, service.log
        time.sleep(0.01)


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of ours that would leak into a test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DIGITSERVE_")}
