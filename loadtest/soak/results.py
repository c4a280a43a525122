"""What a soak found, its verdict, and its files."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

from loadtest.host.machine import Conditions
from loadtest.report.document import as_json
from loadtest.soak.run import End, Outcome, Plan
from loadtest.soak.trend import HOUR, Finding, findings
from loadtest.target.monitor import Period
from loadtest.users.checks import REFUSED

HOLDS, FAILS, NOT_MEASURED, INTERRUPTED = 0, 1, 2, 130
BUSY = 0.9  # of its core: a generator that takes more is what was measured


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    plan: Plan
    outcome: Outcome

    @cached_property
    def findings(self) -> list[Finding]:
        plan = self.plan
        return findings(self.under_load, after=plan.warm_up, until=self.until, block=plan.block)

    @property
    def until(self) -> float:
        return min(self.plan.seconds, self.outcome.seconds)

    @property
    def under_load(self) -> list[Period]:
        """The periods without the last one, which ends after the users have stopped."""
        return [each for each in self.outcome.periods if each.at <= self.until]

    @property
    def judged(self) -> bool:
        """Whether it was long enough for trends."""
        return any(each.trend for each in self.findings)

    @cached_property
    def failures(self) -> list[str]:
        """Sentences without a full stop; none: it holds."""
        return list(self._failures())

    @property
    def code(self) -> int:
        if self.failures:
            return FAILS
        early = {End.INTERRUPTED: INTERRUPTED, End.LOAD_GONE: NOT_MEASURED}
        return early.get(self.outcome.end, HOLDS)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.outcome.requests / self.outcome.seconds if self.outcome.seconds else 0.0

    @property
    def generator(self) -> float:
        """The share of its core that locust took."""
        periods = self.outcome.periods
        seconds = sum(each.seconds for each in periods)
        return sum(each.generator * each.seconds for each in periods) / seconds if seconds else 0.0

    def _failures(self) -> Iterator[str]:
        outcome = self.outcome
        for each in [*outcome.failed, *outcome.mistakes]:
            yield f"{each.times} x {each.what}: {each.why}"
        listed = sum(each.times for each in outcome.failed)
        later = sum(kind.failures for kind in outcome.kinds) - listed
        if later > 0:
            yield f"{later} requests more failed in the last seconds"
        if refused := sum(kind.requests for kind in outcome.kinds if kind.what.endswith(REFUSED)):
            yield f"{refused} requests were refused"
        if broken := sum(each.failed for each in outcome.periods):
            yield f"the service counts {broken} answers of status 5xx"
        for why, times in Counter(outcome.errors).items():
            yield f"{times} observations of the service failed: {why}"
        if outcome.end is End.SERVICE_GONE:
            yield f"the service was gone after {outcome.seconds:.0f} s"
        for switch in outcome.switches:
            if why := switch.failed:
                yield f"the switch to version {switch.version} at {switch.at:.0f} s: {why}"
        for finding in self.findings:
            if finding.grows:
                yield f"{finding.quantity.name} grows: {finding.slope}"

    def write_periods(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, [each.name for each in fields(Period)])
            table.writeheader()
            table.writerows(asdict(each) for each in self.outcome.periods)

    def json(self) -> str:
        outcome = self.outcome
        document = {
            "conditions": self.conditions,
            "plan": self.plan,
            "end": outcome.end,
            "seconds": outcome.seconds,
            "requests": outcome.kinds,
            "requests_a_second": self.rate,
            "failures": self.failures,
            "switches": outcome.switches,
            "trends": {each.quantity.name: _finding(each) for each in self.findings},
        }
        return as_json(document)


def _finding(finding: Finding) -> dict[str, object]:
    """The finding for JSON, in the quantity's unit, and in that unit an hour."""
    trend, quantity = finding.trend, finding.quantity
    return {
        "unit": quantity.unit,
        "mean": finding.mean,
        "says": finding.words,
        "bound_an_hour": quantity.bound,
        "slope_an_hour": trend.slope * HOUR if trend else None,
        "interval_an_hour": [trend.lowest * HOUR, trend.highest * HOUR] if trend else None,
        "blocks": trend.blocks if trend else [],
    }
