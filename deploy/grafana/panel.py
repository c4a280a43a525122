"""One picture of a dashboard: what it asks Prometheus, in which unit, and what is bad."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["timeseries", "stat", "heatmap", "bargauge"]
# Names that Grafana knows; cps is "counts per second", percentunit a fraction shown as per cent.
Unit = Literal["none", "short", "s", "percentunit", "reqps", "cps", "bytes", "watt", "celsius"]

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


@dataclass(frozen=True)
class Target:
    """A question in PromQL, and what its answers are called: {{label}} is a label's value."""

    question: str
    legend: str
    dashed: bool = False  # a limit rather than a measurement


@dataclass(frozen=True)
class Limits:
    """From which value on which colour; `base` below the first."""

    base: str = BLUE
    steps: tuple[tuple[float, str], ...] = ()


PLAIN = Limits()  # more is neither good nor bad


def bad_from(warning: float, bad: float) -> Limits:
    return Limits(GREEN, ((warning, YELLOW), (bad, RED)))


def bad_above_none(colour: str = RED) -> Limits:
    """One is already too many."""
    return Limits(GREEN, ((1e-9, colour),))


def bad_below(objective: float) -> Limits:
    return Limits(RED, ((objective, GREEN),))


@dataclass(frozen=True, kw_only=True)
class Panel:
    title: str
    description: str  # what it shows; what is bad
    unit: Unit
    targets: tuple[Target, ...]
    width: int  # columns
    kind: Kind = "timeseries"
    limits: Limits = PLAIN
    decimals: int | None = None
    lowest: float | None = 0  # end of the axis; none: as the data are
    highest: float | None = None
    scale: Literal["linear", "log", "symlog"] = "linear"  # symlog: has a zero
    stacked: Literal["none", "normal"] = "none"
    bars: bool = False
    by_name: bool = False  # a stat that shows a label rather than the number
    words: dict[int, str] = field(default_factory=dict)  # shown in place of numbers
    colours: dict[str, str] = field(default_factory=dict)  # pattern of a legend -> colour
