"""Locust as the load: started, watched, ended; and what its users found, told by its own files.

locust --headless --csv, --json-file --> failures.csv      as they happen, up to six seconds late
                                         exceptions.csv    mistakes of the users themselves
                                         requests.json     how many of each kind, at the end
"""

import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.server import GRACE, ROOT, end
from loadtest.soak.plan import Plan

LOCUSTFILE = "loadtest/locustfile.py"
LOG = "locust.log"
SAID = re.compile(r"""CatchResponseError\((['"])(.*)\1\)""")  # what the users say of an answer
RAMP = 5.0  # seconds until all users are there
LAST_ANSWERS = 10.0  # seconds that users have for them at the end


@dataclass(frozen=True)
class Failed:
    """What users found wrong with an answer; the same wrong of the same kind counts as one."""

    what: str  # kind of request
    why: str
    times: int


@dataclass(frozen=True)
class Kind:
    what: str  # of request, as the users call it
    requests: int
    failures: int


class Users:
    """Locust while it runs, and what it has told so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.pid = process.pid
        self._process, self._folder = process, folder

    def running(self) -> bool:
        return self._process.poll() is None

    def failed(self) -> list[Failed]:
        return [
            Failed(
                f"{row['Method']} {row['Name']}",
                SAID.sub(r"\2", row["Error"]),
                int(row["Occurrences"]),
            )
            for row in self._rows("failures")
        ]

    def mistakes(self) -> list[Failed]:
        """Of the users themselves."""
        return [
            Failed("mistake of a user", row["Message"], int(row["Count"]))
            for row in self._rows("exceptions")
        ]

    def kinds(self) -> list[Kind]:
        """Once it has ended; none if it did not get as far as to tell."""
        path = self._folder / "requests.json"
        told = json.loads(path.read_text()) if path.exists() else []
        return [
            Kind(f"{each['method']} {each['name']}", each["num_requests"], each["num_failures"])
            for each in told
        ]

    def last_words(self) -> str:
        said = (self._folder / LOG).read_text(errors="replace").strip()
        return f"locust ended with {self._process.returncode}:\n{said[-2000:]}"

    def _rows(self, name: str) -> list[dict[str, str]]:
        path = self._folder / f"requests_{name}.csv"
        if not path.exists():  # it has only just begun
            return []
        with path.open(newline="") as file:
            # It is being written: a line that is not whole yet will be there at the next look.
            return [row for row in csv.DictReader(file) if None not in row.values()]


@contextmanager
def asking(url: str, folder: Path, plan: Plan) -> Iterator[Users]:
    """The plan's users meanwhile, for its seconds at most; what they tell goes into `folder`.

    They are in a session of their own, so that Ctrl-C ends them when all is told, not before.
    """
    requests = str(folder.resolve() / "requests")  # locust runs elsewhere
    words = [sys.executable, "-m", "locust", "--locustfile", LOCUSTFILE, "--headless"]
    words += ["--host", url, "--users", str(plan.users), "--spawn-rate", f"{plan.users / RAMP:g}"]
    words += ["--run-time", f"{math.ceil(plan.seconds)}s", "--stop-timeout", f"{LAST_ANSWERS:g}"]
    words += ["--think", str(plan.think), "--model", plan.model, "--shape", "constant"]
    words += ["--csv", requests, "--json-file", requests]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield Users(process, folder)
    finally:
        end(process, LAST_ANSWERS + GRACE)
