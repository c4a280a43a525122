"""Where throughput leaves what is offered: the knee, and the sentence that says it.

A step is carried if right answers come at CARRIED of the offered rate or more and the SLO holds in
it. The knee is the carried step with the most users. Where users do not think nothing is offered,
and where they think for hardly longer than the SLO lets them wait, answers within it already keep
them from what is offered: there a step is carried if the SLO holds.
"""

from dataclasses import dataclass

from loadtest.slo import Slo, shown_fraction, shown_seconds
from loadtest.trial.step import Step

CARRIED = 0.9  # of what is offered
LONG = 2.0  # times the SLO's p99: who thinks for less is kept from asking by answers within it
BOTTLENECK = (
    "the generator was the bottleneck: this is what locust can ask, not what the service can answer"
)


@dataclass(frozen=True)
class Curve:
    steps: list[Step]  # as they were measured
    slo: Slo

    @property
    def by_load(self) -> list[Step]:
        return sorted(self.steps, key=lambda step: step.users)

    @property
    def knee(self) -> Step | None:
        """None: not even the fewest users were carried, or nothing was measured."""
        carried = [step for step in self.by_load if not self.lacks(step)]
        return carried[-1] if carried else None

    @property
    def beyond(self) -> Step | None:
        """The step after the knee; None: there is none, the most users were carried."""
        users = self.knee.users if self.knee else 0
        return next((step for step in self.by_load if step.users > users), None)

    @property
    def generator_bound(self) -> bool:
        """Whether the knee is locust's: it was at its limit where the service seemed to be.

        Not where the service itself failed or refused.
        """
        beyond = self.beyond
        if beyond is None:  # all were carried; who never pauses asks for as much as there is
            knee = self.knee
            return knee is not None and knee.offered is None and knee.generator_bound
        return beyond.generator_bound and beyond.told.errors <= self.slo.errors

    def lacks(self, step: Step) -> list[str]:
        """Why a step is not carried, each in a few words; nothing if it is."""
        found = self.slo.broken(p99=step.p99, errors=step.told.errors)
        if not step.told.right:
            found = ["no right answer"]
        elif (answered := self._answered(step)) < CARRIED:
            found.append(f"{answered:.0%} of the offered rate is answered")
        return found

    @property
    def finding(self) -> str:
        """In a line."""
        if not self.steps:
            return "Nothing was measured"
        knee, beyond = self.knee, self.beyond
        if knee is None:
            first = self.by_load[0]
            return f"Does not carry {first.users} users: {', '.join(self.lacks(first))}"
        carries = f"{knee.rate:,.0f} requests a second"
        if self.generator_bound:
            return f"Carries at least {carries}"
        if beyond is None:
            what = "all that was asked"
            if knee.offered is None:
                what = f"{knee.users} users who never pause"
            return f"Carries {what}: {carries}, p99 {shown_seconds(knee.p99)}"
        return f"Carries {carries}; above that {self._leaves(beyond)}"

    @property
    def caveat(self) -> str:
        """What must stand beside it; nothing if it can stand alone."""
        if not self.generator_bound:
            return ""
        return f"above that {BOTTLENECK}" if self.knee and self.beyond else BOTTLENECK

    @property
    def others(self) -> float:
        """The most that somebody else took of the cores in a step, as a fraction."""
        return max((step.others or 0.0 for step in self.steps), default=0.0)

    @property
    def title(self) -> str:
        return ": ".join(filter(None, (self.finding, self.caveat)))

    def _answered(self, step: Step) -> float:
        """Right answers, as a fraction of what is offered; 1 where that says nothing."""
        if step.offered is None or step.users / step.offered < LONG * self.slo.p99:
            return 1.0
        return step.rate / step.offered

    def _leaves(self, step: Step) -> str:
        if not step.p99 <= self.slo.p99:
            return f"p99 leaves {shown_seconds(self.slo.p99)}"
        if not step.told.errors <= self.slo.errors:
            return f"more than {shown_fraction(self.slo.errors)} fail"
        return "answers fall behind what is asked"
