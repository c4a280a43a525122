"""All that was found, what follows from it, and how it goes into a file."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from loadtest.capacity.probe import Probe
from loadtest.capacity.prober import Plan
from loadtest.capacity.replicas import Margin, Replicas, replicas
from loadtest.capacity.search import Found, Stopped
from loadtest.host.machine import Conditions

WANTED = 0.95  # confidence, where there are enough repetitions for it


@dataclass(frozen=True)
class Interval:
    """The median of a few independent repetitions, and how sure it is, whatever their distribution.

    Each repetition is as likely above the true median as below it. That k or more of n lie on the
    same side is a matter of tossing coins: the true median lies between the k-th lowest and the
    k-th highest unless fewer than k lie below it or above it. Of 6, it lies between the lowest and
    the highest with 1 - 2 / 2^6 = 96.9 %.
    """

    median: float
    low: float
    high: float
    confidence: float  # that the true median lies between; 0 with a single repetition
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The narrowest that is sure enough, else the widest there is."""
        ordered, count = sorted(values), len(values)
        inward = max(
            (k for k in range(1, count // 2 + 1) if covered(count, k) >= WANTED), default=1
        )
        return cls(
            median=statistics.median(ordered),
            low=ordered[inward - 1],
            high=ordered[-inward],
            confidence=covered(count, inward),
            repetitions=count,
        )


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    plan: Plan
    searches: list[Found[Probe]]
    rates: tuple[float, ...]  # targets
    margin: Margin
    left_out: int  # pictures that are misread at rest too

    @property
    def interval(self) -> Interval:
        return Interval.of([found.rate for found in self.searches])

    @property
    def cores(self) -> int | None:
        """Of one replica."""
        return len(self.plan.placement.server) or None

    @property
    def stopped(self) -> Counter[Stopped]:
        """How many searches were stopped by what."""
        return Counter(found.stopped for found in self.searches)

    @property
    def at_least(self) -> bool:
        """The service may do more: not all searches were stopped by it."""
        return not {Stopped.GENERATOR, Stopped.MOST}.isdisjoint(self.stopped)

    @property
    def replicas(self) -> list[Replicas]:
        return replicas(self.rates, self.interval.low, self.margin, cores=self.cores)

    @property
    def best(self) -> list[Probe]:
        """That at the highest rate of each search."""
        return [found.best for found in self.searches if found.best]

    def by_rate(self) -> dict[float, list[Probe]]:
        """Those that say something of the service, of all searches, from the lowest rate up."""
        counted = [each for each in self._probes() if not each.bound(self.plan.slo)]
        rates = sorted({each.rate for each in counted})
        return {rate: [each for each in counted if each.rate == rate] for rate in rates}

    @property
    def not_counted(self) -> int:
        """Probes whose generator was the bottleneck."""
        return sum(bool(each.bound(self.plan.slo)) for each in self._probes())

    def json(self) -> str:
        document = {
            "conditions": asdict(self.conditions),
            "plan": asdict(self.plan),
            "capacity": asdict(self.interval)
            | {"at_least": self.at_least, "cores": self.cores, "stopped": self.stopped},
            "margin": asdict(self.margin),
            "replicas": [
                asdict(each) | {"count": each.count, "told": each.summary} for each in self.replicas
            ],
            "searches": [asdict(found) for found in self.searches],
            "pictures_left_out": self.left_out,
        }
        return json.dumps(_finite(document), indent=2, allow_nan=False) + "\n"

    def _probes(self) -> list[Probe]:
        return [probe for found in self.searches for probe in found.probes]


def median(values: Iterable[float | None]) -> float | None:
    """Of those that could be measured."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def _finite(value: Any) -> Any:
    """JSON knows no infinity: what never ended is null."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def covered(count: int, inward: int) -> float:
    """How likely the median lies from the `inward`-th lowest to the `inward`-th highest of all."""
    outside: int = sum(math.comb(count, below) for below in range(inward))
    return max(0.0, 1 - 2 * outside / 2.0**count)
