"""One rate offered for some seconds: what came of it, and if it says anything of the service."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from loadtest.client.openloop.result import Outcomes
from loadtest.client.result import quantile
from loadtest.report.slo import Slo, shown_fraction, shown_seconds

BUSY = 0.9  # share of its core; above it a generator has no time left
LATE = 0.1  # of the SLO's p99; above it the generator's own lateness weighs


@dataclass(frozen=True)
class Server:
    """What was seen of the server meanwhile; None: it could not be."""

    cpu: float | None  # share of its cores
    others: float | None  # share of its cores that somebody else took
    batch: float | None  # pictures of a model call, the mean


@dataclass(frozen=True)
class Probe:
    rate: float  # requests a second that were offered
    requests: int
    p50: float  # seconds from when they were due; inf: no answer came
    p99: float
    p999: float
    refused: int  # answered, but not with 200
    wrong: int  # answered with another digit
    unanswered: int
    broken: dict[str, int]  # connections lost with a request on them, by reason; warm-up included
    generator_cpu: float  # of the busiest core, the share that its generators took
    late: float  # seconds, p99, by which the generator got to a request after it was due
    server: Server
    errors: float  # fraction

    @classmethod
    def of(
        cls,
        rate: float,
        outcomes: Outcomes,
        server: Server,
        *,
        warm_up: float,
        cores: Sequence[int],
    ) -> Self:
        """`cores`: of the generators, in the order of their outcomes."""
        counted = outcomes.since(warm_up)
        latencies = counted.latencies
        return cls(
            rate=rate,
            requests=counted.requests,
            p50=quantile(latencies, 0.5, empty=math.inf),
            p99=quantile(latencies, 0.99, empty=math.inf),
            p999=quantile(latencies, 0.999, empty=math.inf),
            refused=counted.refused,
            wrong=counted.wrong,
            unanswered=counted.unanswered,
            broken=dict(counted.broken),
            generator_cpu=_busiest(cores, outcomes.cpu),
            late=counted.late,
            server=server,
            errors=counted.errors,
        )

    def holds(self, slo: Slo) -> bool:
        return slo.holds(p99=self.p99, errors=self.errors) and not self.bound(slo)

    def bound(self, slo: Slo) -> str:
        """Why it was the generator that was measured and not the service; else nothing."""
        if self.generator_cpu > BUSY:
            return f"the generator took {self.generator_cpu:.0%} of its core"
        if self.late > LATE * slo.p99:
            return f"the generator was {shown_seconds(self.late)} late (p99)"
        return ""

    def line(self, slo: Slo) -> str:
        """A line, as it is printed when it is done."""
        verdict = self.bound(slo) or "; ".join(slo.broken(p99=self.p99, errors=self.errors))
        server = "not seen" if self.server.cpu is None else f"{self.server.cpu:.0%}"
        return (
            f"{self.rate:>9,.0f}/s  p50 {shown_seconds(self.p50):>8}  "
            f"p99 {shown_seconds(self.p99):>8}  errors {shown_fraction(self.errors):>8}  "
            f"server {server:>4}  generator {self.generator_cpu:>4.0%}  "
            + (f"does not count: {verdict}" if self.bound(slo) else verdict or "holds")
            + self._disturbed()
        )

    def _disturbed(self) -> str:
        others = self.server.others or 0.0
        return f" (others took {others:.0%} of the server's core)" if others > 0.05 else ""


def _busiest(cores: Sequence[int], shares: Sequence[float]) -> float:
    pairs = list(zip(cores, shares, strict=True))
    return max(sum(share for core, share in pairs if core == each) for each in cores)
