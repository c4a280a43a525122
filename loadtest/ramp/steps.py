"""The steps of a load test, from locust's history and the service's metrics.

A step lasts as long as the number of users stays the same. Its first seconds, in which the new
users all begin at once, are not counted. Percentiles are those of locust: of the last ten seconds
of a step, so of a step that is shorter they are partly those of the step before.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from loadtest.report.slo import Slo
from loadtest.target.monitor import Observation, Period
from loadtest.users.checks import REFUSED

SETTLE = 2  # seconds, or a quarter of a step that is short
SHORTEST = 2  # seconds to count
BUSY = 0.9  # share of its cores from which on locust is the bottleneck

Row = dict[str, str]  # of a CSV file of locust


@dataclass(frozen=True)
class Step:
    users: int
    offered: float | None  # requests a second if answers took no time; None: without think time
    requests: int
    errors: int  # failed or refused requests
    rate: float  # right answers a second
    p50: float  # seconds
    p95: float
    p99: float
    service: Period | None  # None: it did not report metrics
    generator: float | None  # share of its cores that locust used

    @property
    def generator_bound(self) -> bool:
        return self.generator is not None and self.generator > BUSY

    def violations(self, slo: Slo) -> list[str]:
        return slo.broken(p99=self.p99, errors=self.errors / max(1, self.requests))


@dataclass(frozen=True)
class Load:
    """What sends the requests."""

    started: float  # seconds since 1970, when the observations began
    think: float  # mean seconds between an answer and the user's next request
    cores: int  # that locust can use


def steps_of(history: Sequence[Row], observations: Sequence[Observation], load: Load) -> list[Step]:
    """`history`: locust_stats_history.csv, a row a second for each kind of request."""
    refused: Counter[str] = Counter()  # requests until then, by timestamp
    for row in history:
        if row["Name"].endswith(REFUSED):
            refused[row["Timestamp"]] += int(row["Total Request Count"])
    seconds = [row for row in history if row["Name"] == "Aggregated"]
    found = []
    for users, group in groupby(seconds, key=lambda row: int(row["User Count"])):
        rows = list(group)
        rows = rows[min(SETTLE, len(rows) // 4) :]
        if users and len(rows) > SHORTEST:
            found.append(_step(users, rows, refused, observations, load))
    return found


def _step(
    users: int,
    rows: list[Row],
    refused: Counter[str],
    observations: Sequence[Observation],
    load: Load,
) -> Step:
    first, last = rows[0], rows[-1]
    began, ended = (int(row["Timestamp"]) for row in (first, last))
    requests, failed = (
        int(last[name]) - int(first[name])
        for name in ("Total Request Count", "Total Failure Count")
    )
    errors = failed + refused[last["Timestamp"]] - refused[first["Timestamp"]]
    inside = [each for each in observations if began <= load.started + each.at <= ended + 1]
    period = Period.between(inside[0], inside[-1]) if len(inside) > 1 else None
    return Step(
        users=users,
        offered=users / load.think if load.think else None,
        requests=requests,
        errors=errors,
        rate=(requests - errors) / (ended - began),
        p50=percentile(last, "50%"),
        p95=percentile(last, "95%"),
        p99=percentile(last, "99%"),
        service=period,
        generator=period.generator / load.cores if period else None,
    )


def percentile(row: Row, name: str) -> float:
    """Seconds."""
    return 0.0 if row[name] == "N/A" else float(row[name]) / 1e3
