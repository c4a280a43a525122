"""What came of the load, and what the service did about it, both against what was offered."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest import canvas
from loadtest.canvas import BLUE, DASHED, GRAY, GREEN, ORANGE, RED
from loadtest.slo import shown_seconds
from loadtest.trial.curve import Curve
from loadtest.trial.step import Step

POINTS: dict[str, Any] = {
    "linewidth": 2.2, "marker": "o", "markersize": 6.5, "markeredgecolor": "white",
}  # fmt: skip
ROOM = 0.06  # of the width, right of the last point, for names


def load(curve: Curve, below: str) -> Figure:
    """Throughput and latency, the knee, the SLO's line."""
    steps, warned = curve.by_load, curve.generator_bound
    figure, axes = canvas.panels((2.5, 2.5), curve.finding, curve.caveat or below, warned=warned)
    _throughput(axes[0], curve, steps)
    at, slo = _at(steps), curve.slo.p99
    ends = []
    for name, color, times in (
        ("p99", RED, [step.p99 for step in steps]),
        ("p95", ORANGE, [step.p95 for step in steps]),
        ("p50", GREEN, [step.p50 for step in steps]),
    ):
        shown = canvas.milliseconds(times)
        axes[1].plot(at, shown, color=color, **POINTS)
        ends.append((name, color, at[-1], shown[-1]))
    canvas.in_milliseconds(axes[1], slo)
    told = f"SLO: p99 {shown_seconds(slo)}"
    canvas.beside(axes[1], (0, slo * 1e3), told, RED, shift=(6, 5), boxed=True)
    canvas.named(axes[1], "milliseconds\nto an answer")
    _against_load(axes, steps)
    canvas.names(axes[1], ends)
    if curve.knee:
        for each in axes:
            each.axvline(at[steps.index(curve.knee)], color=BLUE, linewidth=1, alpha=0.5, zorder=0)
    return figure


def service(curve: Curve, below: str) -> Figure:
    """Batches, queue and what is shed."""
    steps = [step for step in curve.by_load if step.service]
    told = [step.service for step in steps if step.service]
    title, warned = _batching(steps), curve.generator_bound
    figure, axes = canvas.panels((1.6, 1.6, 1.6), title, curve.caveat or below, warned=warned)
    for each, name, color, values in zip(
        axes,
        ("pictures\na model call", "pictures\nwaiting", "% of requests\nshed"),
        (BLUE, ORANGE, RED),
        (
            [each.batch for each in told],
            [each.queue for each in told],
            [each.shed * 100 for each in told],
        ),
        strict=True,
    ):
        each.plot(_at(steps), values, color=color, **POINTS)
        each.fill_between(_at(steps), values, color=color, alpha=0.12, linewidth=0)
        each.set_ylim(0, max(1.0, 1.15 * max(values)))
        if not any(values):
            each.text(0.5, 0.5, "none", transform=each.transAxes, color=GRAY, ha="center")
        canvas.named(each, name)
    _against_load(axes, steps)
    return figure


def _throughput(axes: Axes, curve: Curve, steps: list[Step]) -> None:
    at, rates = _at(steps), [step.rate for step in steps]
    axes.set_ylim(0, 1.15 * max(rates + [step.offered or 0 for step in steps]) or 1)
    canvas.named(axes, "right answers\na second")
    if steps[0].offered is not None:
        axes.plot([0, *at], [0, *at], color=GRAY, linestyle=DASHED, linewidth=1.3)
        canvas.beside(axes, (at[-1], at[-1]), "offered", GRAY, shift=(-8, 4), ha="right")
    axes.plot(at, rates, color=BLUE, **POINTS)
    if knee := curve.knee:
        place = (at[steps.index(knee)], knee.rate)
        axes.plot(*place, "o", color=BLUE, markersize=12, markeredgecolor="white")
        what = "the knee: " if curve.beyond and not curve.generator_bound else ""
        told = f"{what}{knee.rate:,.0f} a second,\n{knee.users} users"
        # Below the curve is room, and above it the line of what is offered.
        right = place[0] > 0.75 * at[-1]
        how = {"ha": "right", "shift": (-9, -52)} if right else {"ha": "left", "shift": (9, -24)}
        canvas.beside(axes, place, told, BLUE, va="top", boxed=True, **how)


def _batching(steps: list[Step]) -> str:
    """The finding, in a line."""
    top = steps[-1].service
    assert top is not None
    waits = f"{top.queue:,.0f} wait" if top.queue >= 1 else "hardly one waits"
    shed = f"{top.shed:.1%} are shed" if top.shed else "none is shed"
    return f"At {steps[-1].users} users: {top.batch:.1f} pictures a model call, {waits}, {shed}"


def _at(steps: list[Step]) -> list[float]:
    """Where a step stands: at what is offered; at its users where users do not think."""
    return [step.users if step.offered is None else step.offered for step in steps]


def _against_load(axes: Sequence[Axes], steps: list[Step]) -> None:
    at = _at(steps)
    thinking = steps[0].offered is not None
    axes[-1].set_xlabel("offered requests a second" if thinking else "users, who never pause")
    axes[0].set_xlim(0, at[-1] * (1 + ROOM))
    bound = [place for place, step in enumerate(steps) if step.generator_bound]
    if not bound:
        return
    first = bound[0]
    begin = (at[first - 1] + at[first]) / 2 if first else 0
    for each in axes:
        each.axvspan(begin, at[-1] * (1 + ROOM), color=GRAY, alpha=0.13, linewidth=0, zorder=-1)
    axes[0].text(
        begin, 1.01, " locust at its limit", transform=axes[0].get_xaxis_transform(),
        color=GRAY, fontsize=10, va="bottom",
    )  # fmt: skip
