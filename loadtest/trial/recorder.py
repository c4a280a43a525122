"""Writes down each second of locust's users, exactly: a second locustfile beside that of the users.

    locust --locustfile loadtest/locustfile.py,loadtest/trial/recorder.py --record FOLDER ...

Each process that has users writes FOLDER/<process id>.jsonl, a line a second:

    {"at": 1767225600, "users": 9, "kinds": {"png": {"failed": 0, "refused": 1, "ms": {"3.14": 2}}}}

at     seconds since 1970; an answer belongs to the second in which it came
users  when that second ended
ms     how often an answer that was right took so long, to three digits. Locust's own percentiles
       are of the last ten seconds, and its times above 100 ms are rounded to two digits.
"""

import json
import os
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import gevent
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner

from loadtest.users.sending import REFUSED


@dataclass
class Kind:
    failed: int = 0
    refused: int = 0
    ms: Counter[str] = field(default_factory=Counter)


class Recorder:
    def __init__(self, environment: Environment, file: TextIO) -> None:
        self._environment, self._file = environment, file
        self._kinds: dict[int, dict[str, Kind]] = defaultdict(lambda: defaultdict(Kind))
        self._next = int(time.time())  # the first second that is not written yet
        environment.events.request.add_listener(self.hear)
        environment.events.quit.add_listener(self.end)
        self._writing = gevent.spawn(self._write_on)

    def hear(self, name: str, response_time: float, exception: object, **_: Any) -> None:
        kind = self._kinds[int(time.time())][name.removesuffix(REFUSED)]
        if exception is not None:
            kind.failed += 1
        elif name.endswith(REFUSED):
            kind.refused += 1
        else:
            kind.ms[f"{response_time:.3g}"] += 1

    def end(self, **_: Any) -> None:
        self._writing.kill()
        self._write_before(int(time.time()))
        self._file.close()

    def _write_on(self) -> None:
        while True:
            gevent.sleep(1 - time.time() % 1)
            self._write_before(int(time.time()))

    def _write_before(self, now: int) -> None:
        """The last second, which has not ended, is left out."""
        runner = self._environment.runner
        users = runner.user_count if runner else 0
        for at in range(self._next, now):
            kinds = {name: vars(kind) for name, kind in self._kinds.pop(at, {}).items()}
            self._file.write(json.dumps({"at": at, "users": users, "kinds": kinds}) + "\n")
        self._file.flush()
        self._next = max(self._next, now)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_argument(parser: LocustArgumentParser) -> None:
    parser.add_argument("--record", metavar="FOLDER", help="write down each second of the users")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options and options.record and not isinstance(environment.runner, MasterRunner):
        folder = Path(options.record)
        folder.mkdir(parents=True, exist_ok=True)
        Recorder(environment, (folder / f"{os.getpid()}.jsonl").open("w"))
