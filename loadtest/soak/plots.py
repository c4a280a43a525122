"""The soak as a picture: memory and its slope, descriptors and threads, latency, load over time.

Thin lines are switches, what is shaded is the warm-up. Dots are the means of blocks, the dashed
line goes through them, and its band is where it may be, with 95 %.
"""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from loadtest.report.plots import (
    BLUE,
    GRAY,
    GREEN,
    RED,
    beside,
    in_milliseconds,
    milliseconds,
    named,
    panels,
    saved,
)
from loadtest.soak.report import headline
from loadtest.soak.results import Results
from loadtest.soak.trend import Finding
from loadtest.target.monitor import Period

MINUTE = 60.0  # seconds
SWITCH, SHADE = "#dcdcdc", "#f3f3f3"
MARGIN = 2.0  # MB, above and below the memory that is judged
ROOM = 0.11  # of the width, right of the last look, for names


def plot(results: Results, path: Path) -> None:
    plan, conditions = results.plan, results.conditions
    below = (
        f"{conditions.processor}; {conditions.pinned}; {plan.users} users, another version every "
        f"{plan.switch_every:g} s; lines with a 95 % band, through means of {plan.block:g} s"
    )
    figure, axes = panels((2.0, 1.5, 1.5, 1.3), headline(results), below)
    memory, held, latency, load = axes
    _memory(memory, results)
    _held(held, results)
    _latency(latency, results)
    _load(load, results)
    for each in axes:
        _marks(each, results)
    load.set_xlim(0, results.until / MINUTE * (1 + ROOM))
    load.set_xlabel("minutes", fontsize=11)
    saved(figure, path)


def _memory(axes: Axes, results: Results) -> None:
    resident, *_ = results.findings
    _quantity(axes, results, resident, BLUE)
    _slopes(axes, resident)
    seen = resident.quantity.points(results.under_load)
    judged = [point.value for point in seen if point.at > results.plan.warm_up]
    if judged:  # or what a start takes would hide what comes after it
        axes.set_ylim(min(judged) - MARGIN, max(judged) + MARGIN)
    named(axes, "memory, MB")


def _held(axes: Axes, results: Results) -> None:
    _, _, descriptors, threads, _ = results.findings
    _quantity(axes, results, descriptors, BLUE)
    _quantity(axes, results, threads, GREEN)
    _slopes(axes, descriptors, threads)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    named(axes, "open")


def _latency(axes: Axes, results: Results) -> None:
    *_, p99 = results.findings
    periods = results.under_load
    # Without the line through p99's means: on such an axis it is none.
    for name, color, times in (
        ("p50", GREEN, [each.p50 for each in periods]),
        ("p99", RED, [each.p99 for each in periods]),
    ):
        _line(axes, _minutes(periods), milliseconds(times), name, color)
    _slopes(axes, p99)
    in_milliseconds(axes, ticks=(1, 3))
    named(axes, "milliseconds\nto an answer")


def _load(axes: Axes, results: Results) -> None:
    periods = results.under_load
    _line(axes, _minutes(periods), [each.rate for each in periods], "answers", BLUE)
    if any(each.failed for each in periods):
        failed = [each.failed / each.seconds for each in periods]
        _line(axes, _minutes(periods), failed, "failed", RED)
    axes.set_ylim(bottom=0)
    named(axes, "answers\na second")


def _quantity(axes: Axes, results: Results, finding: Finding, color: str) -> None:
    """What was seen, the means of its blocks, and the line through them with its band."""
    quantity, trend = finding.quantity, finding.trend
    seen = quantity.points(results.under_load)
    _line(axes, [x.at / MINUTE for x in seen], [x.value for x in seen], quantity.name, color)
    if trend is None:
        return
    first, last = trend.blocks[0].at, trend.blocks[-1].at
    times = [first + (last - first) * step / 100 for step in range(101)]
    minutes, lines = [at / MINUTE for at in times], [trend.line(at) for at in times]
    lower, upper = zip(*((value - off, value + off) for value, off in lines), strict=True)
    axes.fill_between(minutes, lower, upper, color=color, alpha=0.2, linewidth=0)
    axes.plot(minutes, [value for value, _ in lines], color="#303030", linewidth=1, linestyle="--")
    blocks = [(point.at / MINUTE, point.value) for point in trend.blocks]
    axes.plot(*zip(*blocks, strict=True), "o", color=color, markersize=4.5, markeredgecolor="white")


def _line(axes: Axes, minutes: list[float], values: list[float], name: str, color: str) -> None:
    axes.plot(minutes, values, color=color, linewidth=1.3)
    there = [place for place, value in enumerate(values) if not math.isnan(value)]
    if there:
        last = (minutes[there[-1]], values[there[-1]])
        beside(axes, last, name, color, shift=(5, 0), va="center")


def _slopes(axes: Axes, *findings: Finding) -> None:
    slopes = ";  ".join(f"{each.quantity.name} {each.slope}" for each in findings if each.trend)
    axes.set_title(slopes, loc="right", fontsize=9, color=GRAY)


def _marks(axes: Axes, results: Results) -> None:
    for switch in results.seen.switches:
        color = RED if switch.failed else SWITCH
        axes.axvline(switch.at / MINUTE, color=color, linewidth=0.8, zorder=0.5)
    axes.axvspan(0, results.plan.warm_up / MINUTE, color=SHADE, zorder=0)


def _minutes(periods: list[Period]) -> list[float]:
    return [each.at / MINUTE for each in periods]
