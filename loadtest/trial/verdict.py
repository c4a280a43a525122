"""Whether the SLO holds, in words and as the exit code.

    0  it holds
    1  it does not; where users come until it breaks (ramp): not in a single step
    2  it could not be measured: there was no step, or p99 alone was too long, and only in steps in
       which the generator was the bottleneck, whose own waiting is in that p99

An error is a request whose user did not get what it asked for: a failure, and a refusal too. All
of the run count. p99 is of the right answers of all steps, which begin when the users have come: so
many at once are not what is promised for. In a spike they are, and all answers count.
"""

from dataclasses import dataclass

from loadtest.slo import Slo, shown_fraction, shown_seconds
from loadtest.trial.curve import BOTTLENECK, Curve
from loadtest.trial.second import Told
from loadtest.trial.step import Step

HOLDS, BROKEN, NOT_MEASURED = 0, 1, 2
RAMP, SPIKE = "ramp", "spike"  # shapes: the one that is meant to break it, and the sudden one


@dataclass(frozen=True)
class Verdict:
    code: int
    words: str


def verdict(curve: Curve, whole: Told, shape: str) -> Verdict:
    """`whole`: what the users were told in all steps and between them."""
    if not whole.asked or not curve.steps:
        return Verdict(NOT_MEASURED, "Not measured: no step was long enough to count")
    if shape == RAMP:
        return _of_ramp(curve)
    judged = whole if shape == SPIKE else Told.together(step.told for step in curve.steps)
    p99 = judged.quantile(0.99)
    broken = curve.slo.broken(p99=p99, errors=whole.errors)
    if not judged.right:
        broken = ["no right answer"]
    if not broken:
        told = f"p99 {shown_seconds(p99)}, errors {shown_fraction(whole.errors)} over the whole run"
        return Verdict(HOLDS, f"The SLO holds ({curve.slo}): {told}")
    words = f"{', '.join(broken)} over the whole run{_worst(curve)}"
    if _only_the_generator(curve, whole):
        return Verdict(NOT_MEASURED, f"Not measured: {words}, but there {BOTTLENECK}")
    return Verdict(BROKEN, f"The SLO does not hold: {words}")


def _of_ramp(curve: Curve) -> Verdict:
    held = [step for step in curve.by_load if not broken_in(step, curve.slo)]
    if held:
        last = held[-1]
        return Verdict(
            HOLDS,
            f"The SLO holds ({curve.slo}) up to {last.users} users, "
            f"{last.rate:,.0f} requests a second",
        )
    return Verdict(BROKEN, f"The SLO does not hold at any number of users{_worst(curve)}")


def broken_in(step: Step, slo: Slo) -> list[str]:
    if not step.told.right:
        return ["no right answer"]
    return slo.broken(p99=step.p99, errors=step.told.errors)


def _worst(curve: Curve) -> str:
    """Which step breaks it most; nothing if none does: it was between the steps."""
    broken = [step for step in curve.steps if broken_in(step, curve.slo)]
    if not broken:
        return ", though in no step: between them, when users came"
    worst = max(broken, key=lambda step: (step.told.errors > curve.slo.errors, step.p99))
    return f"; worst at {worst.users} users: {', '.join(broken_in(worst, curve.slo))}"


def _only_the_generator(curve: Curve, whole: Told) -> bool:
    broken = [step for step in curve.steps if broken_in(step, curve.slo)]
    return (
        bool(whole.right)
        and whole.errors <= curve.slo.errors
        and bool(broken)
        and all(step.generator_bound and step.told.errors <= curve.slo.errors for step in broken)
    )
