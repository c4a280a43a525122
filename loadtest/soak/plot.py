"""The soak as a picture: memory and its slope, descriptors and threads, latency, load over time.

Colours are those of Okabe and Ito, which those who see fewer colours tell apart too.
"""

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtest.soak.finding import Finding
from loadtest.soak.period import Period
from loadtest.soak.report import headline
from loadtest.soak.results import Results

MINUTE = 60.0  # seconds
INK, FAINT = "#30343b", "#d9dce1"
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#eceef1",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
}


def plot(results: Results, path: Path) -> None:
    with pyplot.rc_context(STYLE):
        figure, (memory, held, latency, load) = pyplot.subplots(
            4, 1, sharex=True, figsize=(10, 10), height_ratios=(3, 2, 2, 2), layout="constrained"
        )
        _memory(memory, results)
        _held(held, results)
        _latency(latency, results)
        _load(load, results)
        for axes in (memory, held, latency, load):
            _marks(axes, results)
        load.set_xlabel("minutes")
        figure.suptitle(fill(headline(results), 95), x=0.01, ha="left", fontsize=12, weight="bold")
        figure.savefig(path, dpi=140)
        pyplot.close(figure)


def _memory(axes: Axes, results: Results) -> None:
    resident, *_ = results.findings
    _quantity(axes, results, resident, BLUE)
    axes.set_ylabel("memory, MB")
    _legend(axes)


def _held(axes: Axes, results: Results) -> None:
    _, _, descriptors, threads, _ = results.findings
    _quantity(axes, results, descriptors, BLUE)
    _quantity(axes, results, threads, GREEN)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("open")
    _legend(axes)


def _latency(axes: Axes, results: Results) -> None:
    *_, p99 = results.findings
    periods = [each for each in results.under_load if each.p99]
    axes.plot(_minutes(periods), [each.p50 * 1e3 for each in periods], color=BLUE, label="p50")
    _quantity(axes, results, p99, RED)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    axes.set_ylabel("POST /v1/predict, ms")
    _legend(axes)


def _load(axes: Axes, results: Results) -> None:
    periods = results.under_load
    minutes, failed = _minutes(periods), [each.failed / each.seconds for each in periods]
    axes.plot(minutes, [each.rate for each in periods], color=BLUE, label="answered")
    axes.plot(minutes, failed, color=RED, label="of them 5xx")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("requests a second")
    _legend(axes)


def _quantity(axes: Axes, results: Results, finding: Finding, colour: str) -> None:
    """What was seen, the means of its blocks, and the line through them with its band."""
    quantity, told = finding.quantity, finding.trend
    seen = quantity.points(results.under_load)
    label = f"{quantity.name}, {finding.slope}"
    axes.plot([x.at / MINUTE for x in seen], [x.value for x in seen], color=colour, label=label)
    if told is None:
        return
    ends = [told.blocks[0].at, told.blocks[-1].at]
    times = [ends[0] + (ends[1] - ends[0]) * step / 100 for step in range(101)]
    minutes, lines = [at / MINUTE for at in times], [told.line(at) for at in times]
    axes.fill_between(
        minutes,
        [value - margin for value, margin in lines],
        [value + margin for value, margin in lines],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(minutes, [value for value, _ in lines], color=INK, linewidth=1, linestyle="--")
    blocks = [(point.at / MINUTE, point.value) for point in told.blocks]
    axes.plot(*zip(*blocks, strict=True), "o", color=colour, markersize=4, markeredgecolor="white")


def _marks(axes: Axes, results: Results) -> None:
    """Switches, and the time that is not judged."""
    for switch in results.seen.switches:
        colour = RED if switch.failed else FAINT
        axes.axvline(switch.at / MINUTE, color=colour, linewidth=0.8, zorder=0)
    axes.axvspan(0, results.plan.warm_up / MINUTE, color="#f4f5f7", zorder=-1)
    axes.set_xlim(0, max(results.plan.seconds, results.seen.seconds) / MINUTE)


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, borderpad=0)


def _minutes(periods: list[Period]) -> list[float]:
    return [each.at / MINUTE for each in periods]
