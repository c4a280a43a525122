"""What the service did and held between two looks at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from loadtest.exposition import Exposition
from loadtest.request import PREDICT
from loadtest.watch import Look, Use

REQUESTS = "digitserve_http_requests_total"
SECONDS = "digitserve_http_request_duration_seconds"
SHED = "digitserve_shed_total"


@dataclass(frozen=True)
class Period:
    at: float  # seconds since the soak began, at its end
    seconds: float
    resident: int  # bytes, RSS, at its end
    proportional: int  # bytes, PSS
    descriptors: int
    threads: int
    cpu: float  # cores that the service took
    generator: float  # cores that locust took
    answers: int
    failed: int  # of the answers: status 5xx
    shed: int  # requests that were refused or given up on
    p50: float  # seconds of a POST /v1/predict, as the service counts; 0: there was none
    p99: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @classmethod
    def between(cls, before: "Told", now: "Told") -> Self:
        counted = now.metrics.since(before.metrics)
        codes = counted.by(REQUESTS, "code")
        seconds = now.look.at - before.look.at
        return cls(
            at=now.look.at,
            seconds=seconds,
            resident=now.use.resident,
            proportional=now.use.proportional,
            descriptors=now.use.descriptors,
            threads=now.use.threads,
            cpu=(now.use.cpu - before.use.cpu) / seconds,
            generator=max(0.0, now.look.generator_cpu - before.look.generator_cpu) / seconds,
            answers=round(sum(codes.values())),
            failed=round(sum(number for code, number in codes.items() if code.startswith("5"))),
            shed=round(counted.total(SHED)),
            p50=counted.quantile(SECONDS, 0.50, route=PREDICT),
            p99=counted.quantile(SECONDS, 0.99, route=PREDICT),
        )


@dataclass(frozen=True)
class Told:
    """A look that saw everything."""

    look: Look
    metrics: Exposition
    use: Use

    @classmethod
    def by(cls, look: Look) -> Self | None:
        if look.metrics is None or look.service is None:
            return None
        return cls(look, look.metrics, look.service)


class Periods:
    """Takes looks in as they come, and keeps of them what is small."""

    def __init__(self) -> None:
        self.seen: list[Period] = []
        self.lost: list[str] = []  # of each look that saw not everything, why
        self.gone = False  # the service is no longer there
        self._before: Told | None = None

    def take(self, looks: list[Look]) -> None:
        """The looks are taken out of the list, which another thread may be adding to."""
        for look in _emptied(looks):
            told = Told.by(look)
            # One that has ended, and that nobody has asked how, is there and holds nothing.
            self.gone = look.service is None or not look.service.resident
            if told is None:
                self.lost.append(look.lost)
                continue
            if self._before is not None:
                self.seen.append(Period.between(self._before, told))
            self._before = told


def _emptied(looks: list[Look]) -> Iterator[Look]:
    while looks:
        yield looks.pop(0)
