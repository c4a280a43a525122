"""Where the knee of a load test is, whether the SLO holds, and the exit code that says so.

    0  it holds
    1  it does not
    2  it could not be measured: no step was long enough, or p99 alone was too high, and only in
       steps in which locust was the bottleneck, whose own delays are part of that p99

The knee is the step with the most users in which the SLO holds, as it does in all steps below. An
error is a failed or a refused request: a user did not get an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from loadtest.host.machine import Conditions
from loadtest.ramp.steps import Row, Step, percentile
from loadtest.report.document import as_json
from loadtest.report.slo import Slo, shown_fraction, shown_seconds
from loadtest.users.checks import REFUSED

HOLDS, BROKEN, NOT_MEASURED = 0, 1, 2


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
