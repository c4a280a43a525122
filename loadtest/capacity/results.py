"""What the searches found, and how many replicas carry a rate, from what one carries for certain.

    usable = capacity's lower end x (1 - headroom)
    replicas = as many as the rate needs of those + the spare ones
    balancer = as many cores as the rate takes there, with the same headroom; none for one replica

Headroom is for what a steady Poisson load does not have: bursts, other images, a slower
neighbour. The spare is for the replica that is being replaced, or has failed.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from scipy.stats import binom

from loadtest.capacity.probe import Plan, Probe
from loadtest.capacity.search import Found, Stopped
from loadtest.host.machine import Conditions
from loadtest.report.document import as_json

WANTED = 0.95  # confidence, where there are enough repetitions for it
HEADROOM = 0.3  # fraction of the capacity that is left unused
SPARE = 1  # replicas
BALANCER_CPU = 75e-6  # seconds of HAProxy a request: make bench-scale


@dataclass(frozen=True)
class Interval:
    """The median of a few independent repetitions, with an interval for any distribution of them.

    Each repetition is as likely above the true median as below it, so how many lie below it has a
    binomial distribution: the true median lies between the k-th lowest and the k-th highest unless
    fewer than k lie below it or above it. Of 6, it lies between the lowest and the highest with
    1 - 2 / 2^6 = 96.9 %.
    """

    median: float
    low: float
    high: float
    confidence: float  # that the true median lies between; 0 with a single repetition
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The narrowest one with the wanted confidence, else the widest."""
        ordered, count = sorted(values), len(values)
        inner = range(1, count // 2 + 1)
        inward = max((k for k in inner if _confidence(count, k) >= WANTED), default=1)
        return cls(
            median=statistics.median(ordered),
            low=ordered[inward - 1],
            high=ordered[-inward],
            confidence=_confidence(count, inward),
            repetitions=count,
        )


def _confidence(count: int, inward: int) -> float:
    """That the true median lies from the `inward`-th lowest to the `inward`-th highest value."""
    return max(0.0, 1 - 2 * float(binom.cdf(inward - 1, count, 0.5)))


@dataclass(frozen=True)
class Margin:
    headroom: float = HEADROOM
    spare: int = SPARE
    balancer_cpu: float = BALANCER_CPU  # seconds a request


@dataclass(frozen=True)
class Replicas:
    rate: float  # requests a second, the target
    needed: int  # without the spare ones
    spare: int
    cores: int | None  # of all together; None: those of one are not known
    balancer_cores: int  # of the balancer before them
    used: float  # fraction of the capacity of all
    used_without_one: float | None  # the same when one is lost; None: nothing is left then

    @property
    def count(self) -> int:
        return self.needed + self.spare

    @property
    def summary(self) -> str:
        """What happens when one is lost."""
        if self.used_without_one is None:
            return "one carries it; when it is lost, nothing does"
        if self.used_without_one > 1:
            return f"when one is lost, the others lack {1 - 1 / self.used_without_one:.0%}"
        rest = f"when one is lost, {1 - self.used_without_one:.0%} is left"
        return f"one carries it; {rest}" if self.needed == 1 else rest


def replicas(rate: float, capacity: float, margin: Margin, *, cores: int | None) -> Replicas:
    """The replicas for a target rate; `cores`: of one replica."""
    # Rounded first: 3 * 0.7 must not need a fourth for the last bit.
    needed = max(1, math.ceil(round(rate / (capacity * (1 - margin.headroom)), 9)))
    count = needed + margin.spare
    return Replicas(
        rate=rate,
        needed=needed,
        spare=margin.spare,
        cores=None if cores is None else count * cores,
        balancer_cores=math.ceil(rate * margin.balancer_cpu / (1 - margin.headroom))
        if count > 1
        else 0,
        used=rate / (count * capacity),
        used_without_one=rate / ((count - 1) * capacity) if count > 1 else None,
    )


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    plan: Plan
    searches: list[Found[Probe]]
    rates: tuple[float, ...]  # targets
    margin: Margin
    left_out: int  # images that are misread without load

    @property
    def interval(self) -> Interval:
        return Interval.of([found.rate for found in self.searches])

    @property
    def cores(self) -> int | None:
        """The cores of one replica."""
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
        """For each target; empty where no rate is carried."""
        low = self.interval.low
        rates = self.rates if low else ()
        return [replicas(rate, low, self.margin, cores=self.cores) for rate in rates]

    @property
    def best(self) -> list[Probe]:
        """The probe at the highest rate of each search that held."""
        return [found.best for found in self.searches if found.best]

    def by_rate(self) -> dict[float, list[Probe]]:
        """The probes that count, of all searches, from the lowest rate up."""
        counted = [each for each in self._probes() if not each.bound(self.plan.slo)]
        rates = sorted({each.rate for each in counted})
        return {rate: [each for each in counted if each.rate == rate] for rate in rates}

    @property
    def not_counted(self) -> int:
        """Probes whose generator was the bottleneck."""
        return sum(bool(each.bound(self.plan.slo)) for each in self._probes())

    def json(self) -> str:
        capacity = {"at_least": self.at_least, "cores": self.cores, "stopped": self.stopped}
        document = {
            "conditions": self.conditions,
            "plan": self.plan,
            "capacity": asdict(self.interval) | capacity,
            "margin": self.margin,
            "replicas": [
                asdict(each) | {"count": each.count, "summary": each.summary}
                for each in self.replicas
            ],
            "searches": self.searches,
            "images_left_out": self.left_out,
        }
        return as_json(document)

    def _probes(self) -> list[Probe]:
        return [probe for found in self.searches for probe in found.probes]


def median(values: Iterable[float | None]) -> float | None:
    """The median of the values that could be measured."""
    measured = [value for value in values if value is not None]
    return statistics.median(measured) if measured else None
