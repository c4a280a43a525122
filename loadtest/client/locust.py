"""Locust as a headless process: started for a test, interrupted at its end, and what it writes.

locust_stats.csv, locust_stats_history.csv    each kind of request: in total, and every second
locust_failures.csv, locust_exceptions.csv    wrong answers, exceptions in the users' code
locust.json                                   the exact counts, once it has ended
locust.html, locust.log
"""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtest.errors import CannotMeasure
from loadtest.host.processes import ROOT
from loadtest.target.server import end

LOCUSTFILE = "loadtest/locustfile.py"
LOG = "locust.log"
GRACE = 20.0  # seconds to finish its requests and to write its files
ERROR = "/ERROR/"  # the level of a line in its log


class Locust:
    """Locust while it runs, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.pid = process.pid
        self._process, self._folder = process, folder

    def running(self) -> bool:
        return self._process.poll() is None

    def rows(self, name: str) -> list[dict[str, str]]:
        """The complete lines of locust_<name>.csv; a line that is being written is left out."""
        path = self._folder / f"locust_{name}.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if None not in row.values()]

    def requests(self) -> list[dict[str, Any]]:
        """The counts of each kind of request; empty if it ended before it could write them."""
        path = self._folder / "locust.json"
        requests: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        return requests

    def last_words(self) -> str:
        """Its exit code and the last error of its log, which statistics may follow."""
        lines = (self._folder / LOG).read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if ERROR in line] or lines
        return f"locust ended with {self._process.returncode}: {' '.join(errors[-1:])}"

    def check(self) -> None:
        """CannotMeasure if it failed."""
        if self._process.returncode:
            raise CannotMeasure(f"{self.last_words()} ({self._folder / LOG})")


@contextmanager
def locust(url: str, folder: Path, words: list[str]) -> Iterator[Locust]:
    """Locust with these arguments; it writes into `folder` and ends with the block.

    It runs in a session of its own, so that Ctrl-C reaches it only from here.
    """
    files = folder.resolve() / "locust"  # locust runs in another folder
    command = [sys.executable, "-m", "locust", "--locustfile", LOCUSTFILE, "--headless"]
    command += [f"--host={url}", f"--csv={files}", "--csv-full-history", f"--json-file={files}"]
    command += [f"--html={files}.html", "--only-summary", "--exit-code-on-error=0", *words]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield Locust(process, folder)
    finally:
        end(process, GRACE)
