"""The steps of a load test, its knee, whether the SLO holds, and the exit code.

    0  it holds
    1  it does not
    2  it could not be measured: no step was long enough, or p99 alone was too high, and only in
       steps in which locust was the bottleneck, whose own delays are part of that p99

A step lasts as long as the number of users stays the same. Its first seconds, in which the new
users all begin at once, are not counted. Percentiles are those of locust: of the last ten seconds
of a step, so of a step that is shorter they are partly those of the step before. The knee is the
step with the most users in which the SLO holds, as it does in all steps below. An error is a failed
or a refused request: a user did not get an answer.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, takewhile

from loadtest.host.machine import Conditions
from loadtest.report.document import as_json
from loadtest.report.slo import Slo, shown_fraction, shown_seconds
from loadtest.target.monitor import Observation, Period
from loadtest.users.checks import REFUSED

HOLDS, BROKEN, NOT_MEASURED = 0, 1, 2
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


@dataclass(frozen=True)
class Result:
    conditions: Conditions
    slo: Slo
    steps: list[Step]  # in the order in which they were measured
    stats: Sequence[Row]  # locust_stats.csv: a row for each kind of request, and one for all
    stopped: bool  # by Ctrl-C, before its time

    @cached_property
    def by_users(self) -> list[Step]:
        return sorted(self.steps, key=lambda step: step.users)

    @cached_property
    def knee(self) -> Step | None:
        held = list(takewhile(lambda step: not step.violations(self.slo), self.by_users))
        return held[-1] if held else None

    @property
    def title(self) -> str:
        if not self.steps:
            return "No step was measured"
        knee = self.knee
        if knee is None:
            first = self.by_users[0]
            return f"{first.users} users are too many: {', '.join(first.violations(self.slo))}"
        carries = f"{knee.rate:,.0f} requests a second with {knee.users} users"
        beyond = self.by_users[self.by_users.index(knee) + 1 :]
        if not beyond:
            return f"Carries all: {carries}, p99 {shown_seconds(knee.p99)}"
        if beyond[0].generator_bound:
            return f"Carries at least {carries}: above that, locust was the bottleneck"
        return f"Carries {carries}; above that {', '.join(beyond[0].violations(self.slo))}"

    @cached_property
    def verdict(self) -> tuple[int, str]:
        """The exit code, and a sentence without its end."""
        total = next((row for row in self.stats if row["Name"] == "Aggregated"), None)
        if not self.steps or total is None:
            return NOT_MEASURED, "Not measured: no step was long enough to count"
        p99 = percentile(total, "99%")
        failed = int(total["Failure Count"]) + sum(
            int(row["Request Count"]) for row in self.stats if row["Name"].endswith(REFUSED)
        )
        errors = failed / max(1, int(total["Request Count"]))
        violations = self.slo.broken(p99=p99, errors=errors)
        if not violations:
            found = f"p99 {shown_seconds(p99)}, errors {shown_fraction(errors)} over the whole run"
            return HOLDS, f"The SLO holds ({self.slo}): {found}"
        words = f"{', '.join(violations)} over the whole run"
        broken = [step for step in self.steps if step.violations(self.slo)]
        if errors <= self.slo.errors and broken and all(step.generator_bound for step in broken):
            return NOT_MEASURED, f"Not measured: {words}, but there locust was the bottleneck"
        if broken:
            worst = max(broken, key=lambda step: (step.errors / max(1, step.requests), step.p99))
            words += f"; worst at {worst.users} users: {', '.join(worst.violations(self.slo))}"
        return BROKEN, f"The SLO does not hold: {words}"

    def json(self) -> str:
        code, words = self.verdict
        summary = {
            "title": self.title,
            "verdict": words,
            "exit_code": code,
            "stopped": self.stopped,
            "slo": self.slo,
            "knee": self.knee,
            "steps": self.steps,
            "kinds": self.stats,
            "conditions": self.conditions,
        }
        return as_json(summary)
