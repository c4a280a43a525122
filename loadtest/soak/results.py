"""All that one soak found, as it goes into files, and what it comes to."""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from loadtest.host.machine import Conditions
from loadtest.soak.observed import End, Seen
from loadtest.soak.plan import Plan
from loadtest.soak.trend import HOUR, Finding, findings
from loadtest.target.monitor import Period
from loadtest.users.checks import REFUSED

HOLDS, FAILS, NOT_MEASURED, INTERRUPTED = 0, 1, 2, 130
BUSY = 0.9  # of its core: a generator that takes more is what was measured


@dataclass(frozen=True)
class Results:
    conditions: Conditions
    plan: Plan
    seen: Seen

    @cached_property
    def findings(self) -> list[Finding]:
        plan = self.plan
        return findings(self.under_load, after=plan.warm_up, until=self.until, block=plan.block)

    @property
    def until(self) -> float:
        return min(self.plan.seconds, self.seen.seconds)

    @property
    def under_load(self) -> list[Period]:
        """The last look is one at a service whose users have gone."""
        return [each for each in self.seen.periods if each.at <= self.until]

    @property
    def judged(self) -> bool:
        """Whether it was long enough for trends."""
        return any(each.trend for each in self.findings)

    @cached_property
    def failures(self) -> list[str]:
        """Each a sentence without its end; none: it holds."""
        return [*self._failed_requests(), *self._failed_switches(), *self._trends()]

    @property
    def code(self) -> int:
        if self.failures:
            return FAILS
        early = {End.INTERRUPTED: INTERRUPTED, End.LOAD_GONE: NOT_MEASURED}
        return early.get(self.seen.end, HOLDS)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.seen.requests / self.seen.seconds if self.seen.seconds else 0.0

    @property
    def generator(self) -> float:
        """The share of its core that locust took."""
        periods = self.seen.periods
        seconds = sum(each.seconds for each in periods)
        return sum(each.generator * each.seconds for each in periods) / seconds if seconds else 0.0

    def _failed_requests(self) -> Iterator[str]:
        seen = self.seen
        for each in [*seen.failed, *seen.mistakes]:
            yield f"{each.times} x {each.what}: {each.why}"
        listed = sum(each.times for each in seen.failed)
        later = sum(kind.failures for kind in seen.kinds) - listed
        if later > 0:
            yield f"{later} requests more failed in the last seconds"
        if refused := sum(kind.requests for kind in seen.kinds if kind.what.endswith(REFUSED)):
            yield f"{refused} requests were refused"
        if broken := sum(each.failed for each in seen.periods):
            yield f"the service counts {broken} answers of status 5xx"
        for why, times in Counter(seen.lost).items():
            yield f"{times} looks at the service failed: {why}"
        if seen.end is End.SERVICE_GONE:
            yield f"the service was gone after {seen.seconds:.0f} s"

    def _failed_switches(self) -> Iterator[str]:
        for each in self.seen.switches:
            if each.failed:
                yield f"the switch to version {each.version} at {each.at:.0f} s: {each.failed}"

    def _trends(self) -> Iterator[str]:
        for each in self.findings:
            if each.grows:
                yield f"{each.quantity.name} grows: {each.slope}"

    # ---- into files ---------------------------------------------------------------------------

    def write_looks(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, [each.name for each in fields(Period)])
            table.writeheader()
            table.writerows(asdict(each) for each in self.seen.periods)

    def json(self) -> str:
        document = {
            "conditions": asdict(self.conditions),
            "plan": asdict(self.plan),
            "end": self.seen.end,
            "seconds": self.seen.seconds,
            "requests": [asdict(each) for each in self.seen.kinds],
            "requests_a_second": self.rate,
            "failures": self.failures,
            "switches": [asdict(each) for each in self.seen.switches],
            "trends": {each.quantity.name: _finding(each) for each in self.findings},
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    """In the quantity's unit, and that an hour."""
    trend, quantity = finding.trend, finding.quantity
    return {
        "unit": quantity.unit,
        "mean": finding.mean,
        "says": finding.words,
        "bound_an_hour": quantity.bound if math.isfinite(quantity.bound) else None,
        "slope_an_hour": trend.slope * HOUR if trend else None,
        "interval_an_hour": [trend.lowest * HOUR, trend.highest * HOUR] if trend else None,
        "blocks": [list(point) for point in trend.blocks] if trend else [],
    }
