"""One soak, from its copies of a version to its end: what is started, observed and recorded."""

import json
import math
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtest.arguments import Think
from loadtest.client.asyncio_client import LOST
from loadtest.client.locust import Locust, locust
from loadtest.client.requests import STATUS, SampleImages, get, post
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Placement, on, settings_handed_on
from loadtest.target import targets
from loadtest.target.monitor import Observation, Period, monitored
from loadtest.target.server import Running, started
from loadtest.target.targets import Command

ANSWER = 0.002  # seconds, about: what a user waits for beside thinking
TICK = 0.1  # seconds
PRINT_EVERY = 10.0  # seconds
ON_TIME = 0.95  # of the planned seconds: locust does not end before
RAMP = 5.0  # seconds until all users are there
LAST_ANSWERS = 10.0  # seconds that users have for them at the end
CARD = "card.json"
ACTIVATE = "/v1/models/{name}/versions/{version}/activate"
# What the users report about a wrong answer, in locust's file of failures.
REPORTED = re.compile(r"""CatchResponseError\((['"])(.*)\1\)""")


@dataclass(frozen=True)
class Plan:
    seconds: float
    rate: float  # requests a second that are aimed at
    think: Think
    switch_every: float  # seconds
    versions: int  # that are switched between
    look_every: float  # seconds between observations
    warm_up: float  # seconds that are not judged
    model: str
    cores: Placement

    @property
    def users(self) -> int:
        """The number of users whose requests add up to the rate."""
        return max(1, math.ceil(self.rate * (self.think.mean + ANSWER)))

    @property
    def block(self) -> float:
        """Seconds of a block: as long as two switches, so that all blocks are alike."""
        return 2 * self.switch_every


class End(StrEnum):
    PLANNED = "as planned"
    INTERRUPTED = "it was stopped"
    SERVICE_GONE = "the service was gone"
    LOAD_GONE = "locust ended too early"


@dataclass(frozen=True)
class Failed:
    """A complaint of users; equal ones about the same kind of request are counted together."""

    what: str  # kind of request
    why: str
    times: int


@dataclass(frozen=True)
class Kind:
    what: str  # of request, as the users name it
    requests: int
    failures: int


@dataclass(frozen=True)
class Switch:
    at: float  # seconds since the soak began
    version: str
    seconds: float  # until the response
    failed: str  # the reason; empty if the version serves


@dataclass
class Outcome:
    seconds: float = 0.0  # that it ran
    end: End = End.PLANNED
    periods: list[Period] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # of observations
    switches: list[Switch] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    mistakes: list[Failed] = field(default_factory=list)  # exceptions in the code of the users

    @property
    def requests(self) -> int:
        return sum(kind.requests for kind in self.kinds)


def soak(plan: Plan, images: SampleImages, folder: Path, command: Command | None = None) -> Outcome:
    """Ctrl-C ends it earlier. `folder` takes locust's files; `command` starts another service.

    CannotMeasure if the service does not start, or gets no request.
    """
    token = secrets.token_urlsafe()
    settings = targets.ON_ONE_CORE | settings_handed_on() | {"DIGITSERVE_ADMIN_TOKEN": token}
    with copies(images.folder, plan.model, plan.versions) as models, on(*plan.cores.generators):
        target = targets.service(models, plan.model, settings)
        target = replace(target, command=command or target.command)
        with started(target, plan.cores.server, probe=images.requests[0]) as running:
            return _Soak(plan, running, token).under_load(folder)


class _Soak:
    def __init__(self, plan: Plan, running: Running, token: str) -> None:
        self._plan, self._running, self._token = plan, running, token
        self._outcome, self._periods = Outcome(), Periods()
        self._versions = cycle([*range(2, plan.versions + 1), 1])
        self._began = time.perf_counter()

    def under_load(self, folder: Path) -> Outcome:
        plan, outcome, url = self._plan, self._outcome, str(self._running.address)
        print(f"The service listens on {url}; starting {plan.users} users", flush=True)
        with locust(url, folder, _locust_words(plan)) as users:
            self._began = time.perf_counter()
            with monitored(
                url, service=self._running.pid, generator=users.pid, every=plan.look_every
            ) as observations:
                try:
                    self._follow(users, observations)
                except KeyboardInterrupt:
                    outcome.end = End.INTERRUPTED
                    print("Stopping locust and the service", flush=True)
                outcome.seconds = self._now()
        self._periods.take(observations)
        outcome.periods, outcome.errors = self._periods.complete, self._periods.errors
        outcome.kinds, outcome.failed = _kinds(users), _failed(users)
        outcome.mistakes = _mistakes(users)
        if not outcome.requests and outcome.end in (End.PLANNED, End.LOAD_GONE):
            raise CannotMeasure(f"no request was sent: {users.last_words()}")
        return outcome

    def _follow(self, users: Locust, observations: list[Observation]) -> None:
        """Switch versions and print what happens until locust has ended."""
        switch_at, print_at = self._plan.switch_every, PRINT_EVERY
        while users.running():
            time.sleep(TICK)
            self._periods.take(observations)
            if self._periods.gone:
                self._outcome.end = End.SERVICE_GONE
                return
            if switch_at <= self._now() < self._plan.seconds:
                switch_at += self._plan.switch_every
                self._switch(str(next(self._versions)))
            if print_at <= self._now():
                print_at += PRINT_EVERY
                self._print_progress(users)
        if self._now() < ON_TIME * self._plan.seconds:
            self._outcome.end = End.LOAD_GONE

    def _switch(self, version: str) -> None:
        path = ACTIVATE.format(name=self._plan.model, version=version)
        at, failed = self._now(), ""
        try:
            answer = self._running.send(post(path, b"", {"Authorization": f"Bearer {self._token}"}))
            took = self._now() - at
            if answer.status != 200:
                failed = f"answered {answer.status}: {answer.excerpt}"
            else:
                serving = json.loads(self._running.send(get(STATUS)).body)["model"]["version"]
                failed = "" if serving == version else f"answered 200, but version {serving} serves"
        except LOST as error:
            took, failed = self._now() - at, f"no answer: {error!r}"
        self._outcome.switches.append(Switch(at, version, took, failed))
        what = f"version {version} serves, after {took * 1e3:.0f} ms"
        if failed:
            what = f"NOT SWITCHED to version {version}: {failed}"
        print(f"{_clock(at)}  {what}", flush=True)

    def _print_progress(self, users: Locust) -> None:
        periods = [each for each in self._periods.complete if each.at > self._now() - PRINT_EVERY]
        if not periods:
            print(f"{_clock(self._now())}  no observation: {self._periods.errors[-1:]}", flush=True)
            return
        last = periods[-1]
        failed = sum(each.times for each in _failed(users))
        seconds = sum(each.seconds for each in periods)
        print(
            f"{_clock(self._now())} of {_clock(self._plan.seconds)}  "
            f"{sum(each.answers for each in periods) / seconds:.0f} req/s  "
            f"p50 {last.p50 * 1e3:.1f} ms  p99 {last.p99 * 1e3:.1f} ms  "
            f"RSS {last.resident / 2**20:.1f} MB  {last.descriptors} descriptors  "
            f"{last.threads} threads  {failed} failed",
            flush=True,
        )

    def _now(self) -> float:
        return time.perf_counter() - self._began


def _locust_words(plan: Plan) -> list[str]:
    """Locust's arguments for the users of the plan."""
    words = [f"--users={plan.users}", f"--spawn-rate={plan.users / RAMP:g}", "--shape=constant"]
    words += [f"--run-time={math.ceil(plan.seconds)}s", f"--stop-timeout={LAST_ANSWERS:g}"]
    return [*words, f"--think={plan.think}", f"--model={plan.model}"]


def _kinds(users: Locust) -> list[Kind]:
    return [
        Kind(f"{each['method']} {each['name']}", each["num_requests"], each["num_failures"])
        for each in users.requests()
    ]


def _failed(users: Locust) -> list[Failed]:
    """The failures in locust's file, which is up to six seconds old."""
    return [
        Failed(
            f"{row['Method']} {row['Name']}",
            REPORTED.sub(r"\2", row["Error"]),
            int(row["Occurrences"]),
        )
        for row in users.rows("failures")
    ]


def _mistakes(users: Locust) -> list[Failed]:
    return [
        Failed("mistake of a user", row["Message"], int(row["Count"]))
        for row in users.rows("exceptions")
    ]


def _clock(seconds: float) -> str:
    """Minutes and seconds: 29:59."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:>3}:{rest:02}"


@contextmanager
def copies(folder: Path, name: str, number: int) -> Iterator[Path]:
    """A store with versions 1 to `number`, copies of the model in `folder`; 1 is current.

    The service does not switch between two versions with the same card. So the card of each copy
    has a time of creation that is a second later; the files that it lists are the same.
    """
    with TemporaryDirectory(prefix="soak-") as models:
        try:
            for version in range(1, number + 1):
                copy = Path(models) / name / str(version)
                shutil.copytree(folder, copy)
                card = json.loads((copy / CARD).read_text())
                created = datetime.fromisoformat(card["created"]) + timedelta(seconds=version - 1)
                card["created"] = created.isoformat()
                (copy / CARD).write_text(json.dumps(card, indent=2) + "\n")
            (Path(models) / name / "current").write_text("1\n")
        except (OSError, ValueError, KeyError) as error:
            raise CannotMeasure(f"{folder} cannot be copied: {error!r}") from error
        yield Path(models)


class Periods:
    """Turns observations into periods as they arrive, and keeps only the periods."""

    def __init__(self) -> None:
        self.complete: list[Period] = []
        self.errors: list[str] = []  # of each observation that failed
        self.gone = False  # the service is no longer there
        self._before: Observation | None = None

    def take(self, observations: list[Observation]) -> None:
        """Remove the observations from the list, to which another thread may be adding."""
        while observations:
            now = observations.pop(0)
            # A zombie is still a process, and holds nothing.
            self.gone = now.service is None or not now.service.resident
            if now.metrics is None or now.service is None:
                self.errors.append(now.error)
                continue
            if self._before and (period := Period.between(self._before, now)):
                self.complete.append(period)
            self._before = now
