"""The tables: a row for each step, and one for each kind of request."""

from loadtest.report import Line
from loadtest.trial.curve import Curve
from loadtest.trial.second import Told
from loadtest.trial.step import Step

HEAD = (
    "users", "offered/s", "right/s", "p50 ms", "p95 ms", "p99 ms", "failed", "refused", "batch",
    "queue", "service CPU", "generator CPU", "",
)  # fmt: skip
KINDS = ("request", "asked", "failed", "refused", "p50 ms", "p99 ms")
UNKNOWN = "-"
KNEE, AT_ITS_LIMIT = "the knee", "locust at its limit"


def steps(curve: Curve) -> list[Line]:
    """As they were, one after the other."""
    return [HEAD, *(_step(step, curve) for step in curve.steps)]


def kinds(told: dict[str, Told]) -> list[Line]:
    return [KINDS, *(_kind(name, each) for name, each in told.items())]


def _step(step: Step, curve: Curve) -> Line:
    service = step.service
    marks = [KNEE] if curve.beyond and step is curve.knee else []
    marks += [AT_ITS_LIMIT] if step.generator_bound else []
    marks += [f"others took {step.others:.0%}"] if step.disturbed else []
    return (
        str(step.users),
        UNKNOWN if step.offered is None else f"{step.offered:,.0f}",
        f"{step.rate:,.0f}",
        milliseconds(step.p50),
        milliseconds(step.p95),
        milliseconds(step.p99),
        str(step.told.failed),
        str(step.told.refused),
        f"{service.batch:.1f}" if service else UNKNOWN,
        f"{service.queue:.1f}" if service else UNKNOWN,
        f"{service.cpu:.0%}" if service and service.cpu is not None else UNKNOWN,
        UNKNOWN if step.generator is None else f"{step.generator:.0%}",
        ", ".join(marks),
    )


def _kind(name: str, told: Told) -> Line:
    times = (milliseconds(told.quantile(q)) for q in (0.5, 0.99))
    return (name, f"{told.asked:,}", str(told.failed), str(told.refused), *times)


def milliseconds(seconds: float) -> str:
    """Three digits."""
    ms = seconds * 1e3
    return f"{ms:.{2 if ms < 10 else 1 if ms < 100 else 0}f}"
