"""The highest rung at which a service keeps its promise: an exponential search, then bisection.

    unknown    from rung 0, up by doubling the rate, or down by halving it
    known      from both sides of what was found before, near it, and further away each time an end
               is not as expected: both ends are always verified

A probe whose generator was the bottleneck is evidence of nothing, and is made once more; if the
generator is the bottleneck again, the search continues below, and reports what stopped it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from loadtest.report.slo import Slo

GALLOP = 2.0  # by how much the rate changes while nothing is known
NEAR = 1.1  # the first step to either side of what is known


@dataclass(frozen=True)
class Ladder:
    """The rates that may be tried, rung by rung: the same ones in every repetition."""

    first: float  # requests a second: rung 0, where a search begins
    resolution: float  # fraction by which a rung is higher
    least: float  # requests a second: no rung is lower, but rung 0 may be
    most: float  # requests a second: the highest rung, which may be nearer to the one below

    def rate(self, rung: int) -> float:
        rate = self.first * (1 + self.resolution) ** rung
        return min(self.most, round(rate, 0 if rate >= 100 else 1))

    @property
    def top(self) -> int:
        return max(0, math.ceil(self._rungs(self.most / self.first)))

    @property
    def bottom(self) -> int:
        return min(0, -math.floor(self._rungs(self.first / self.least)))

    def rungs(self, factor: float) -> int:
        """How many rungs up make the rate so much higher; at least one."""
        return max(1, round(self._rungs(factor)))

    def _rungs(self, factor: float) -> float:
        # Rounded, so that a factor that is a whole number of rungs is one.
        return round(math.log(factor) / math.log(1 + self.resolution), 9)


class Tried(Protocol):
    def holds(self, slo: Slo) -> bool: ...

    def bound(self, slo: Slo) -> str: ...


T = TypeVar("T", bound=Tried)


class Stopped(StrEnum):
    """What kept a search from a higher rate."""

    SERVICE = "service"
    GENERATOR = "generator"
    MOST = "most"  # none higher was to be tried
    NEVER = "never"  # it did not hold at the lowest rate either


@dataclass(frozen=True)
class Found(Generic[T]):
    rung: int
    rate: float  # requests a second, the highest that held; 0: none did
    stopped: Stopped
    best: T | None  # the probe of that rate
    probes: list[T]  # in order


def search(
    probe: Callable[[float], T], slo: Slo, ladder: Ladder, *, known: int | None = None
) -> Found[T]:
    """`known`: a rung near which the limit was found before."""
    return _Search(probe, slo, ladder).found(known)


class _Search(Generic[T]):
    def __init__(self, probe: Callable[[float], T], slo: Slo, ladder: Ladder) -> None:
        self._probe, self._slo, self._ladder = probe, slo, ladder
        self._low, self._high = ladder.bottom - 1, ladder.top + 1  # beyond: nothing is known
        self._best: T | None = None
        self._stopped = Stopped.MOST  # by what, at `high`
        self._probes: list[T] = []

    def found(self, known: int | None) -> Found[T]:
        ladder = self._ladder
        if known is None:
            self._bracket(0, ladder.rungs(GALLOP))
        else:
            near = ladder.rungs(NEAR)
            self._bracket(known - near, 2 * near)
        while self._low + 1 < self._high and self._best is not None:
            self._try((self._low + self._high) // 2)
        if self._best is None:
            never = self._stopped is Stopped.SERVICE
            stopped = Stopped.NEVER if never else self._stopped
            return Found(self._low, 0.0, stopped, None, self._probes)
        rate = ladder.rate(self._low)
        return Found(self._low, rate, self._stopped, self._best, self._probes)

    def _bracket(self, rung: int, stride: int) -> None:
        """Try rungs until one holds and one does not, or an end of the ladder is reached."""
        bottom, top, gallop = self._ladder.bottom, self._ladder.top, self._ladder.rungs(GALLOP)
        while self._low < top and self._high > bottom:
            self._try(min(max(rung, bottom), top))
            if self._low >= bottom and self._high <= top:
                return
            rung = self._low + stride if self._low >= bottom else self._high - stride
            stride = max(stride, min(2 * stride, gallop))

    def _try(self, rung: int) -> None:
        for _ in range(2):
            tried = self._probe(self._ladder.rate(rung))
            self._probes.append(tried)
            if not tried.bound(self._slo):
                break
        if tried.holds(self._slo):
            self._low, self._best = rung, tried
        else:
            self._high = rung
            self._stopped = Stopped.GENERATOR if tried.bound(self._slo) else Stopped.SERVICE
