"""A dashboard drawn with matplotlib: its panels with data, in Grafana's layout.

It does not look like Grafana, but has the same queries, units, limits and colours, so that one can
check whether a query shows what its title promises.
"""

import math
import re
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tests.monitoring.dashboards import Question, dashboard, marks
from tests.monitoring.series import Series
from tests.monitoring.watched import Watched

matplotlib.use("agg")

_COLUMN, _LINE = 0.62, 0.33  # inches per column and row of the grid
_DPI = 72
_COLOURS = {
    "green": "#3a9b45", "yellow": "#e0a91b", "red": "#d43f4f", "blue": "#3274d9",
}  # fmt: skip
_SMALL = 7  # points


def draw(name: str, seen: Watched, path: Path) -> None:
    """Draw all panels of a dashboard into one PNG."""
    panels = dashboard(name)["panels"]
    lines = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels)
    figure = Figure(figsize=(24 * _COLUMN, lines * _LINE), dpi=_DPI)
    for panel in panels:
        place = panel["gridPos"]
        left, width = place["x"] / 24, place["w"] / 24
        bottom, height = 1 - (place["y"] + place["h"]) / lines, place["h"] / lines
        if panel["type"] == "row":
            figure.text(0.01, bottom + height / 3, panel["title"], weight="bold", fontsize=10)
            continue
        inch = 1 / (lines * _LINE)  # fraction of the height of the figure
        gap = (0.35 if panel["type"] != "stat" else 0.1) * inch
        axes = figure.add_axes(
            (left + 0.04, bottom + gap, width - 0.05, height - gap - 0.35 * inch)
        )
        axes.set_title(panel["title"], fontsize=8, loc="left")
        axes.tick_params(labelsize=_SMALL)
        _DRAWN[panel["type"]](axes, panel, _answers(name, panel, seen), seen)
    figure.savefig(path)
    # An image of lines and text needs few colours, which keeps the committed file small.
    Image.open(path).convert("RGB").quantize(48).save(path, optimize=True)


def _answers(name: str, panel: Any, seen: Watched) -> list[tuple[str, Series]]:
    """Every series of a panel with its legend."""
    found = []
    for target in panel["targets"]:
        legend = target["legendFormat"]
        question = Question(name, panel["title"], panel["type"], legend, target["expr"])
        found += [(_called(legend, series), series) for series in seen.answers(question)]
    return found


def _called(legend: str, series: Series) -> str:
    return re.sub(r"{{(\w+)}}", lambda name: series.labels.get(name.group(1), ""), legend).strip()


def _lines(axes: Axes, panel: Any, answers: list[tuple[str, Series]], seen: Watched) -> None:
    custom = panel["fieldConfig"]["defaults"]["custom"]
    below = np.zeros(round(seen.ended - seen.began) + 1)
    palette = cycle(matplotlib.colormaps["tab10"].colors)  # type: ignore[attr-defined]
    for name, series in answers:
        seconds = np.array([moment - seen.began for moment, _ in series.points])
        values = np.array([value for _, value in series.points])
        look: dict[str, Any] = {"label": name, "color": _coloured(panel, name) or next(palette)}
        if custom.get("stacking", {}).get("mode") == "normal":
            at = seconds.round().astype(int)
            top = below.copy()
            top[at] += np.nan_to_num(values)
            axes.fill_between(range(len(below)), below, top, step="post", alpha=0.7, **look)
            below = top
        elif custom["drawStyle"] == "bars":
            axes.bar(seconds, values, alpha=0.8, **look)
        else:
            axes.plot(seconds, values, "--" if _dashed(panel, name) else "-", lw=1, **look)
    _mark_limits_and_switches(axes, panel, seen)
    axes.set_xlim(0, seen.ended - seen.began)
    scale = custom.get("scaleDistribution", {}).get("type", "linear")
    axes.set_yscale(scale)
    if scale != "log":
        low, high = axes.get_ylim()
        defaults = panel["fieldConfig"]["defaults"]
        room = 0.3 * (high - low)  # for the legend
        axes.set_ylim(defaults.get("min", low), defaults.get("max", high + room))
    axes.yaxis.set_major_formatter(lambda value, _: _worded(panel, value))
    axes.grid(alpha=0.2)
    if answers:
        axes.legend(fontsize=6, loc="upper left", framealpha=0.5, ncols=1 + (len(answers) > 5))


def _mark_limits_and_switches(axes: Axes, panel: Any, seen: Watched) -> None:
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]:
        axes.axhline(step["value"], color=_COLOURS[step["color"]], ls=":", lw=1)
    for mark in marks()[:2]:
        for moment in {moment for series in seen.answers(mark) for moment, _ in series.points}:
            colour = _COLOURS["red" if "failed" in mark.panel else "blue"]
            axes.axvline(moment - seen.began, color=colour, lw=0.6, alpha=0.6)


def _heat(axes: Axes, panel: Any, answers: list[tuple[str, Series]], seen: Watched) -> None:
    """Buckets are cumulative; a cell is the difference between adjacent buckets."""
    ordered = sorted(answers, key=lambda pair: float(pair[1].labels["le"]))
    cumulated = np.zeros((len(ordered), round(seen.ended - seen.began) + 1))
    for row, (_, series) in enumerate(ordered):
        for moment, value in series.points:
            cumulated[row, round(moment - seen.began)] = value
    cells = np.diff(cumulated, axis=0, prepend=0)
    cells[cells <= 0] = np.nan
    axes.pcolormesh(np.sqrt(cells), cmap="Oranges")
    names = [_worded(panel, float(series.labels["le"])) for _, series in ordered]
    axes.set_yticks(np.arange(len(names)) + 1.0, names, fontsize=5)


def _number(axes: Axes, panel: Any, answers: list[tuple[str, Series]], seen: Watched) -> None:
    axes.set_axis_off()
    texts, colour = [], "black"
    for name, series in answers:
        known = [value for _, value in series.points if math.isfinite(value)]
        if series.points[-1][0] < seen.ended - 2:
            continue  # Grafana queries the current time, at which this series has ended
        for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
            if step["value"] is None or known[-1] >= step["value"]:
                colour = _COLOURS[step["color"]]
        by_name = panel["options"]["textMode"] == "name"
        texts.append(name if by_name else _worded(panel, known[-1]))
    axes.text(0.02, 0.4, ", ".join(texts), fontsize=15, color=colour, va="center")


def _bars(axes: Axes, panel: Any, answers: list[tuple[str, Series]], seen: Watched) -> None:
    names = [name for name, _ in answers]
    values = [series.points[-1][1] for _, series in answers]
    bars = axes.barh(names[::-1], values[::-1], color=_COLOURS["blue"])
    axes.bar_label(bars, [_worded(panel, value) for value in values[::-1]], fontsize=6)
    axes.xaxis.set_major_formatter(lambda value, _: _worded(panel, value))


def _table(axes: Axes, panel: Any, answers: list[tuple[str, Series]], seen: Watched) -> None:
    """A line for each series that still exists; the value is a time in milliseconds since 1970."""
    (organize,) = panel["transformations"]
    columns = organize["options"]["renameByName"]
    lines = [
        [series.labels.get(name, "") for name in columns if name != "Value"]
        + [f"{seen.ended - series.points[-1][1] / 1000:.0f} s ago"]
        for _, series in answers
        if series.points[-1][0] >= seen.ended - 2
    ]
    axes.set_axis_off()
    if lines:
        table = axes.table(lines, colLabels=list(columns.values()), loc="upper left")
        table.set_fontsize(7)


_DRAWN = {
    "timeseries": _lines,
    "heatmap": _heat,
    "stat": _number,
    "bargauge": _bars,
    "table": _table,
}


def _coloured(panel: Any, name: str) -> str | None:
    for override in panel["fieldConfig"]["overrides"]:
        (wanted,) = override["properties"]
        if wanted["id"] == "color" and re.search(override["matcher"]["options"], name):
            return _COLOURS[wanted["value"]["fixedColor"]]
    return None


def _dashed(panel: Any, name: str) -> bool:
    return any(
        override["matcher"]["options"] == name
        for override in panel["fieldConfig"]["overrides"]
        if override["properties"][0]["id"] == "custom.lineStyle"
    )


def _worded(panel: Any, value: float) -> str:
    """A number with its unit, as Grafana writes it."""
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults["mappings"]:
        if (words := mapping["options"].get(str(round(value)))) is not None:
            return str(words["text"])
    if math.isinf(value):
        return "+Inf"
    match defaults["unit"]:
        case "percentunit":
            return f"{100 * value:.{defaults.get('decimals', 1)}f} %"
        case "s" if 0 < value < 1:
            return f"{1000 * value:g} ms" if value < 0.1 else f"{1000 * value:.0f} ms"
        case "bytes":
            return f"{value / 2**20:.0f} MiB" if value < 2**30 else f"{value / 2**30:.1f} GiB"
        case "none" if "decimals" in defaults:
            return f"{value:.{defaults['decimals']}f}"
        case unit:
            ends = {"s": " s", "reqps": "/s", "cps": "/s", "watt": " W", "celsius": " °C"}
            return f"{value:.4g}{ends.get(unit, '')}"
