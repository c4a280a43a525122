"""The style of the plots: light, few lines, each named where it ends, the finding as the title.

Colours are Okabe and Ito's, which colour-blind people can distinguish. matplotlib is imported only
by modules that plot; the figures need no display.
"""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

WIDTH, DPI = 9.0, 130  # inches, dots an inch
BLUE, GREEN, ORANGE, RED, GRAY = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#6b6b6b"
DASHED = (0, (4, 3))
POINTS: dict[str, Any] = {
    "linewidth": 2.2,
    "marker": "o",
    "markersize": 6.5,
    "markeredgecolor": "white",
}
LETTERS = 72  # of a title's line
LETTER = 12.0  # points, the height of one
HEAD = 0.95  # inches for title and what stands below it


def panels(heights: Sequence[float], title: str, below: str) -> tuple[Figure, list[Axes]]:
    """One below the other, of these heights in inches, with one x axis, labelled at the bottom."""
    words = textwrap.wrap(title, LETTERS)
    lines = textwrap.wrap(below, int(LETTERS * 1.35))
    head = HEAD + 0.27 * (len(words) - 1) + 0.2 * (len(lines) - 1)
    height = sum(heights) + 0.14 * len(heights) + head + 0.6
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
    figure.subplots_adjust(0.115, 0.62 / height, 0.925, 1 - head / height, hspace=0.16)
    figure.text(
        0.025, 1 - 0.16 / height, "\n".join(words), fontsize=15, fontweight="bold", va="top"
    )
    figure.text(
        0.025, 1 - (0.2 + 0.29 * len(words)) / height, "\n".join(lines),
        fontsize=10.5, color=GRAY, va="top",
    )  # fmt: skip
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color("#b0b0b0")
        each.tick_params(color="#b0b0b0", labelsize=10.5)
        each.grid(axis="y", color="#e9e9e9", linewidth=1)
        each.set_axisbelow(True)
        for axis in (each.xaxis, each.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    return figure, list(axes.flat)


def named(axes: Axes, text: str) -> None:
    """Name the axis on the left."""
    axes.set_ylabel(text, fontsize=11)
    axes.yaxis.set_label_coords(-0.075, 0.5)


def beside(axes: Axes, at: tuple[float, float], text: str, color: str, **how: Any) -> None:
    """Write a text at a point; `shift` moves it by points of the font."""
    shift = how.pop("shift", (0, 0))
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
    how.setdefault("bbox", box)
    if not math.isnan(at[1]):
        axes.annotate(
            text, at, shift, textcoords="offset points", color=color, fontsize=10.5,
            annotation_clip=False, **how,
        )  # fmt: skip


def names(axes: Axes, ends: list[tuple[str, str, float, float]]) -> None:
    """Name lines where they end (name, colour, x, y), without overlaps.

    After the limits of the axes are set.
    """
    last = -math.inf
    for name, color, x, y in sorted(ends, key=lambda end: end[3]):
        if math.isnan(y):
            continue
        place = axes.transData.transform((x, y))[1] * 72 / DPI  # points
        lifted = max(place, last + LETTER)
        beside(axes, (x, y), name, color, shift=(8, lifted - place), va="center", bbox=None)
        last = lifted


def in_milliseconds(axes: Axes, *, ticks: tuple[int, ...] = (1, 2, 5)) -> None:
    """A logarithmic axis; `ticks` of each power of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=ticks, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def milliseconds(times: Sequence[float]) -> list[float]:
    """Times to draw; NaN, which is not drawn, where there was no answer."""
    return [time * 1e3 or math.nan for time in times]


def saved(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Software": None})
