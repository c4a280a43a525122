"""What a steady number of users was told, and what it took of the service: a row of the tables.

A step is as long as the number of users stays the same. Its first seconds are left out, in which
the new ones begin all at once, and seconds in which users came or went belong to none. Where users
come one after another (the shape ramp) a step is a piece of PIECE seconds, with the mean of users.

    right, failed, refused, p50, p95, p99    from the users themselves, exactly
    batch, queue, shed                       from what GET /metrics counted between two looks
    CPU                                      from /proc
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

from loadtest.exposition import Exposition
from loadtest.trial.second import Second, Told
from loadtest.watch import Look

SETTLE = 2  # seconds left out at the beginning of a step, or a quarter of one that is short
SHORTEST = 2  # seconds that are left of a step that counts
PIECE = 5  # seconds
BUSY = 0.9  # share of its cores from which on the generator is what is measured
NOISY = 0.1  # share of all cores from which on somebody else's work is measured too
PREFIX = "digitserve_"


@dataclass(frozen=True)
class Service:
    """What it says of itself, and what /proc says of it, between two looks."""

    batch: float  # pictures of a model call, mean
    queue: float  # pictures waiting for the model, mean over time
    shed: float  # fraction of its requests that it refused or gave up on
    cpu: float | None  # cores; None: its processes cannot be seen from here

    @classmethod
    def between(cls, first: Look, last: Look) -> "Service | None":
        if first.metrics is None or last.metrics is None or last.at <= first.at:
            return None
        counted, seconds = last.metrics.since(first.metrics), last.at - first.at
        return cls(
            batch=counted.mean(f"{PREFIX}batch_size"),
            # Little's law. The gauge misses all that comes and goes between two scrapes.
            queue=counted.total(f"{PREFIX}queue_wait_seconds_sum") / seconds,
            shed=_shed(counted),
            cpu=(last.service.cpu - first.service.cpu) / seconds
            if first.service and last.service
            else None,
        )


class Taken(NamedTuple):
    """Cores."""

    generator: float
    all: float  # by everybody


@dataclass(frozen=True)
class Step:
    users: int
    offered: float | None  # requests a second; None: users do not think
    began: float  # seconds since the start
    seconds: int  # that were counted
    told: Told
    service: Service | None  # None: it did not tell
    generator: float | None  # fraction of the cores that it may use; None: not looked at
    others: float | None  # fraction of all cores that somebody else took; None: not known

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.told.right / self.seconds

    @property
    def p50(self) -> float:
        return self.told.quantile(0.5)

    @property
    def p95(self) -> float:
        return self.told.quantile(0.95)

    @property
    def p99(self) -> float:
        return self.told.quantile(0.99)

    @property
    def generator_bound(self) -> bool:
        return self.generator is not None and self.generator > BUSY

    @property
    def disturbed(self) -> bool:
        return self.others is not None and self.others > NOISY


@dataclass(frozen=True)
class Asking:
    """What is known of those who ask."""

    think: float  # seconds between an answer and the next request, mean
    cores: int  # that they can keep busy
    all_cores: int  # theirs and the service's; 0: those of the service are not known
    started: float  # since 1970: when the first look began
    in_steps: bool = True  # not one after another

    def offered(self, users: float) -> float | None:
        return users / self.think if self.think else None


def steps(seconds: list[Second], looks: list[Look], asking: Asking) -> list[Step]:
    counted = _stretches(seconds) if asking.in_steps else _pieces(seconds)
    return [_step(each, looks, asking) for each in counted]


def _pieces(seconds: list[Second]) -> Iterator[list[Second]]:
    seconds = [second for second in seconds if second.users]
    for first in range(0, len(seconds), PIECE):
        piece = seconds[first : first + PIECE]
        if len(piece) >= SHORTEST:
            yield piece


def _stretches(seconds: list[Second]) -> Iterator[list[Second]]:
    for users, together in groupby(seconds, key=lambda second: second.users):
        stretch = list(together)
        counted = stretch[min(SETTLE, max(1, len(stretch) // 4)) :]
        if users and len(counted) >= SHORTEST:
            yield counted


def _step(counted: list[Second], looks: list[Look], asking: Asking) -> Step:
    users = round(fmean(second.users for second in counted))
    began = counted[0].at - asking.started
    inside = [look for look in looks if began <= look.at <= began + len(counted)]
    told = [look for look in inside if look.metrics is not None]
    service = Service.between(told[0], told[-1]) if told else None
    taken = _taken(inside)
    others = None
    if asking.all_cores and taken and service and service.cpu is not None:
        others = max(0.0, taken.all - taken.generator - service.cpu) / asking.all_cores
    return Step(
        users=users,
        offered=asking.offered(users),
        began=began,
        seconds=len(counted),
        told=Told.together(second.told for second in counted),
        service=service,
        generator=taken.generator / asking.cores if taken else None,
        others=others,
    )


def _taken(looks: list[Look]) -> Taken | None:
    """None where there are no two looks."""
    if len(looks) < 2:
        return None
    first, last = looks[0], looks[-1]
    seconds = last.at - first.at
    return Taken(
        (last.generator_cpu - first.generator_cpu) / seconds, (last.busy - first.busy) / seconds
    )


def _shed(counted: Exposition) -> float:
    shed = counted.total(f"{PREFIX}shed_total")
    asked = counted.total(f"{PREFIX}http_requests_total")
    return min(1.0, shed / asked) if asked else 0.0
