"""One soak, from its store to its end: who is started, what is looked at, what is said of it."""

import json
import math
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtest.client.locust import Locust, locust
from loadtest.client.pictures import Pictures
from loadtest.client.requests import picture
from loadtest.errors import CannotMeasure
from loadtest.host.machine import on, settings_handed_on
from loadtest.soak.observed import End, Failed, Kind, Seen
from loadtest.soak.plan import Plan
from loadtest.soak.switch import switch
from loadtest.target import targets
from loadtest.target.monitor import Look, Period, watched
from loadtest.target.server import Running, started
from loadtest.target.targets import Command

TICK = 0.1  # seconds
SAY_EVERY = 10.0  # seconds
ON_TIME = 0.95  # of the planned seconds: locust does not end before
RAMP = 5.0  # seconds until all users are there
LAST_ANSWERS = 10.0  # seconds that users have for them at the end
CARD = "card.json"


def soak(plan: Plan, pictures: Pictures, folder: Path, command: Command | None = None) -> Seen:
    """Ctrl-C ends it earlier. `folder` takes locust's files; `command` starts another service.

    CannotMeasure if the service does not start, or gets no request.
    """
    token = secrets.token_urlsafe()
    settings = targets.ON_ONE_CORE | settings_handed_on() | {"DIGITSERVE_ADMIN_TOKEN": token}
    with copies(pictures.folder, plan.model, plan.versions) as models, on(*plan.cores.generators):
        target = targets.service(models, plan.model, settings)
        target = replace(target, command=command or target.command)
        with started(target, plan.cores.server, probe=picture(pictures.pngs[0])) as running:
            return _Soak(plan, running, token).under_load(folder)


class _Soak:
    def __init__(self, plan: Plan, running: Running, token: str) -> None:
        self._plan, self._running, self._token = plan, running, token
        self._seen, self._periods = Seen(), Periods()
        self._versions = cycle([*range(2, plan.versions + 1), 1])
        self._began = time.perf_counter()

    def under_load(self, folder: Path) -> Seen:
        plan, seen, url = self._plan, self._seen, str(self._running.address)
        print(f"The service answers on {url}; {plan.users} users come", flush=True)
        with locust(url, folder, _words(plan)) as users:
            self._began = time.perf_counter()
            with watched(
                url, service=self._running.pid, generator=users.pid, every=plan.look_every
            ) as looks:
                try:
                    self._watch(users, looks)
                except KeyboardInterrupt:
                    seen.end = End.INTERRUPTED
                    print("Stopping locust and the service", flush=True)
                seen.seconds = self._now()
        self._periods.take(looks)
        seen.periods, seen.lost = self._periods.seen, self._periods.lost
        seen.kinds, seen.failed = Kind.of(users), Failed.of(users)
        seen.mistakes = Failed.mistakes_of(users)
        if not seen.requests and seen.end in (End.PLANNED, End.LOAD_GONE):
            raise CannotMeasure(f"no request was sent: {users.last_words()}")
        return seen

    def _watch(self, users: Locust, looks: list[Look]) -> None:
        """Until locust has ended."""
        switch_at, say_at = self._plan.switch_every, SAY_EVERY
        while users.running():
            time.sleep(TICK)
            self._periods.take(looks)
            if self._periods.gone:
                self._seen.end = End.SERVICE_GONE
                return
            if switch_at <= self._now() < self._plan.seconds:
                switch_at += self._plan.switch_every
                self._switch()
            if say_at <= self._now():
                say_at += SAY_EVERY
                self._say(users)
        if self._now() < ON_TIME * self._plan.seconds:
            self._seen.end = End.LOAD_GONE

    def _switch(self) -> None:
        version = str(next(self._versions))
        done = switch(self._running, self._plan.model, version, self._token, began=self._began)
        self._seen.switches.append(done)
        what = f"version {version} serves, after {done.seconds * 1e3:.0f} ms"
        if done.failed:
            what = f"NOT SWITCHED to version {version}: {done.failed}"
        print(f"{clock(done.at)}  {what}", flush=True)

    def _say(self, users: Locust) -> None:
        periods = [each for each in self._periods.seen if each.at > self._now() - SAY_EVERY]
        if not periods:
            print(f"{clock(self._now())}  nothing seen: {self._periods.lost[-1:]}", flush=True)
            return
        last = periods[-1]
        failed = sum(each.times for each in Failed.of(users))
        seconds = sum(each.seconds for each in periods)
        print(
            f"{clock(self._now())} of {clock(self._plan.seconds)}  "
            f"{sum(each.answers for each in periods) / seconds:.0f} req/s  "
            f"p50 {last.p50 * 1e3:.1f} ms  p99 {last.p99 * 1e3:.1f} ms  "
            f"RSS {last.resident / 2**20:.1f} MB  {last.descriptors} descriptors  "
            f"{last.threads} threads  {failed} failed",
            flush=True,
        )

    def _now(self) -> float:
        return time.perf_counter() - self._began


def _words(plan: Plan) -> list[str]:
    """Locust's arguments for the users of the plan."""
    words = [f"--users={plan.users}", f"--spawn-rate={plan.users / RAMP:g}", "--shape=constant"]
    words += [f"--run-time={math.ceil(plan.seconds)}s", f"--stop-timeout={LAST_ANSWERS:g}"]
    return [*words, f"--think={plan.think}", f"--model={plan.model}"]


def clock(seconds: float) -> str:
    """Minutes and seconds: 29:59."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:>3}:{rest:02}"


@contextmanager
def copies(folder: Path, name: str, number: int) -> Iterator[Path]:
    """A store with versions 1 to `number`, copies of the model in `folder`; 1 is current.

    The service does not switch between two versions with the same card. So the card of each copy
    says that it was made a second after the one before; the files that it lists are the same.
    """
    with TemporaryDirectory(prefix="soak-") as models:
        try:
            for version in range(1, number + 1):
                _copy(folder, Path(models) / name / str(version), later=version - 1)
            (Path(models) / name / "current").write_text("1\n")
        except (OSError, ValueError, KeyError) as error:
            raise CannotMeasure(f"{folder} cannot be copied: {error!r}") from error
        yield Path(models)


def _copy(folder: Path, to: Path, *, later: int) -> None:
    """Made so many seconds later."""
    shutil.copytree(folder, to)
    card = json.loads((to / CARD).read_text())
    created = datetime.fromisoformat(card["created"]) + timedelta(seconds=later)
    (to / CARD).write_text(json.dumps(card | {"created": created.isoformat()}, indent=2) + "\n")


class Periods:
    """Takes looks in as they come, and keeps of them what is small."""

    def __init__(self) -> None:
        self.seen: list[Period] = []
        self.lost: list[str] = []  # why a look did not see everything, for each of them
        self.gone = False  # the service is no longer there
        self._before: Look | None = None

    def take(self, looks: list[Look]) -> None:
        """The looks are taken out of the list, which another thread may be adding to."""
        for look in _emptied(looks):
            # A zombie is still a process, and holds nothing.
            self.gone = look.service is None or not look.service.resident
            if look.metrics is None or look.service is None:
                self.lost.append(look.lost)
                continue
            if self._before and (period := Period.between(self._before, look)):
                self.seen.append(period)
            self._before = look


def _emptied(looks: list[Look]) -> Iterator[Look]:
    while looks:
        yield looks.pop(0)
