"""Locust in a separate process: importing it would patch the sockets of all tests with gevent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.target.server import free_port
from tests.support.program import Program
from tests.support.running import ROOT

LOCUST = (sys.executable, "-m", "locust", f"--locustfile={ROOT / 'loadtest/locustfile.py'}")


class Done(NamedTuple):
    code: int
    reported: dict[str, dict[str, Any]]  # by kind of request
    log: str


def swarm(*words: str, folder: Path = ROOT, seconds: int = 10, users: int = 13) -> Done:
    """Headless, with all users from start to end."""
    how = ("--headless", f"--run-time={seconds}s", f"--users={users}", "--spawn-rate=99", "--json")
    done = tried(*how, *words, folder=folder)
    reported = done.stdout[done.stdout.rfind("\n[") + 1 :]  # the master's comes last
    each_kind = {each["name"]: each for each in json.loads(reported or "[]")}
    return Done(done.returncode, each_kind, done.stderr)


def two_processes() -> tuple[str, ...]:
    """With a port of their own to meet at: tests run beside each other."""
    port = free_port()
    return ("--processes=2", f"--master-bind-port={port}", f"--master-port={port}")


def tried(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LOCUST, *words], cwd=folder, capture_output=True, text=True)


class Page(Program):
    """Locust with its web interface."""

    def __init__(self, *words: str) -> None:
        self.port = free_port()
        page = ("--web-host=127.0.0.1", f"--web-port={self.port}")
        super().__init__([*LOCUST, *page, *words], folder=ROOT)

    def lines(self, word: str) -> list[str]:
        return [line for line in self.log.splitlines() if word in line]

    def hear(self, line: str) -> bool:
        ready = "Starting web interface" in line
        if ready:
            self.url = f"http://127.0.0.1:{self.port}"
        return ready
