"""The plot of a soak: memory and its slope, descriptors and threads, latency, load over time.

Thin lines are switches, the shaded part is the warm-up. Dots are the means of blocks, the dashed
line is fitted to them, and its band is the 95 % confidence interval.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from loadtest.report import plots
from loadtest.report.plots import BLUE, GRAY, GREEN, RED
from loadtest.soak.report import headline
from loadtest.soak.results import Results
from loadtest.soak.trend import Finding

MINUTE = 60.0  # seconds
SWITCH, SHADE = "#dcdcdc", "#f3f3f3"
MARGIN = 2.0  # MB, above and below the memory that is judged
ROOM = 0.11  # of the width, right of the last observation, for names


def plot(results: Results, path: Path) -> None:
    plan, conditions = results.plan, results.conditions
    below = (
        f"{conditions.processor}; {conditions.pinned}; {plan.users} users, another version every "
        f"{plan.switch_every:g} s; lines with a 95 % band, through means of {plan.block:g} s"
    )
    figure, axes = plots.panels((2.0, 1.5, 1.5, 1.3), headline(results), below)
    memory, held, latency, load = axes
    _memory(memory, results)
    _held(held, results)
    _latency(latency, results)
    _load(load, results)
    for each in axes:
        _marks(each, results)
    load.set_xlim(0, results.until / MINUTE * (1 + ROOM))
    load.set_xlabel("minutes", fontsize=11)
    plots.saved(figure, path)


def _memory(axes: Axes, results: Results) -> None:
    resident, *_ = results.findings
    _quantity(axes, results, resident, BLUE)
    _slopes(axes, resident)
    points = resident.quantity.points(results.under_load)
    judged = [point.value for point in points if point.at > results.plan.warm_up]
    if judged:  # else the growth at the start would hide what comes after it
        axes.set_ylim(min(judged) - MARGIN, max(judged) + MARGIN)
    plots.named(axes, "memory, MB")


def _held(axes: Axes, results: Results) -> None:
    _, _, descriptors, threads, _ = results.findings
    _quantity(axes, results, descriptors, BLUE)
    _quantity(axes, results, threads, GREEN)
    _slopes(axes, descriptors, threads)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    plots.named(axes, "open")


def _latency(axes: Axes, results: Results) -> None:
    *_, p99 = results.findings
    periods = results.under_load
    times = [each.at for each in periods]
    # Without the line through the means of p99: on a logarithmic axis it is not straight.
    _line(axes, times, plots.milliseconds([each.p50 for each in periods]), "p50", GREEN)
    _line(axes, times, plots.milliseconds([each.p99 for each in periods]), "p99", RED)
    _slopes(axes, p99)
    plots.in_milliseconds(axes, ticks=(1, 3))
    plots.named(axes, "milliseconds\nto an answer")


def _load(axes: Axes, results: Results) -> None:
    periods = results.under_load
    times = [each.at for each in periods]
    _line(axes, times, [each.rate for each in periods], "answers", BLUE)
    if any(each.failed for each in periods):
        _line(axes, times, [each.failed / each.seconds for each in periods], "failed", RED)
    axes.set_ylim(bottom=0)
    plots.named(axes, "answers\na second")


def _quantity(axes: Axes, results: Results, finding: Finding, color: str) -> None:
    """The values, the means of their blocks, and the line through these with its band."""
    quantity, trend = finding.quantity, finding.trend
    points = quantity.points(results.under_load)
    _line(axes, [x.at for x in points], [x.value for x in points], quantity.name, color)
    if trend is None:
        return
    times = np.linspace(trend.blocks[0].at, trend.blocks[-1].at, 101)
    values, off = trend.line(times)
    minutes = times / MINUTE
    axes.fill_between(minutes, values - off, values + off, color=color, alpha=0.2, linewidth=0)
    axes.plot(minutes, values, color="#303030", linewidth=1, linestyle="--")
    at, means = np.array(trend.blocks).T
    axes.plot(at / MINUTE, means, "o", color=color, markersize=4.5, markeredgecolor="white")


def _line(
    axes: Axes, times: Sequence[float], values: Sequence[float], name: str, color: str
) -> None:
    minutes = np.array(times) / MINUTE
    axes.plot(minutes, values, color=color, linewidth=1.3)
    measured = np.flatnonzero(~np.isnan(values))
    if len(measured):
        last = (minutes[measured[-1]], values[measured[-1]])
        plots.beside(axes, last, name, color, shift=(5, 0), va="center")


def _slopes(axes: Axes, *findings: Finding) -> None:
    slopes = ";  ".join(f"{each.quantity.name} {each.slope}" for each in findings if each.trend)
    axes.set_title(slopes, loc="right", fontsize=9, color=GRAY)


def _marks(axes: Axes, results: Results) -> None:
    for switch in results.outcome.switches:
        color = RED if switch.failed else SWITCH
        axes.axvline(switch.at / MINUTE, color=color, linewidth=0.8, zorder=0.5)
    axes.axvspan(0, results.plan.warm_up / MINUTE, color=SHADE, zorder=0)
