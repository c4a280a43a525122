"""The whole run, second by second: users, answers, times, and what waited in the service."""

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest.trial.canvas import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    RED,
    beside,
    in_milliseconds,
    milliseconds,
    named,
    panels,
)  # fmt: skip
from loadtest.trial.result import Result
from loadtest.trial.second import Second
from loadtest.trial.step import Service
from loadtest.watch import Look

ROOM = 0.07  # of the width, right of the last second, for names


def course(result: Result, below: str) -> Figure:
    curve = result.curve
    figure, axes = panels(
        (1.1, 1.5, 1.5, 1.4), curve.finding, curve.caveat or below, warned=curve.generator_bound
    )
    users, answers, times, inside = axes
    seconds = result.seconds[1:]  # in the first one, users prepare
    at = [second.at - result.asking.started for second in seconds]
    counts = [second.users for second in seconds]
    users.fill_between(at, counts, step="post", color=GRAY, alpha=0.2, linewidth=0)
    users.step(at, counts, where="post", color=GRAY, linewidth=1.8)
    named(users, "users")
    _answers(answers, at, seconds)
    for name, color, q in (("p99", RED, 0.99), ("p50", GREEN, 0.5)):
        told = milliseconds([second.told.quantile(q) for second in seconds])
        _line(times, at, told, name, color)
    in_milliseconds(times, result.slo.p99)
    named(times, "milliseconds\nto an answer")
    _inside(inside, [look for look in result.looks if at[0] <= look.at <= at[-1] + 1])
    for each in (users, answers, inside):
        each.set_ylim(bottom=0)
    users.set_xlim(at[0], at[-1] + ROOM * max(1, at[-1] - at[0]))
    inside.set_xlabel("seconds since the start", fontsize=11)
    return figure


def _answers(axes: Axes, at: list[float], seconds: list[Second]) -> None:
    told = [second.told for second in seconds]
    _line(axes, at, [each.right for each in told], "right", BLUE)
    if any(each.failed for each in told):
        _line(axes, at, [each.failed for each in told], "failed", RED)
    if any(each.refused for each in told):
        _line(axes, at, [each.refused for each in told], "refused", ORANGE)
    named(axes, "answers\na second")


def _inside(axes: Axes, looks: list[Look]) -> None:
    """Of the service, between one look and the next."""
    pairs = ((last.at, Service.between(first, last)) for first, last in pairwise(looks))
    told = [(at, service) for at, service in pairs if service]
    at = [each for each, _ in told]
    _line(axes, at, [service.batch or math.nan for _, service in told], "batch", BLUE)
    _line(axes, at, [service.queue for _, service in told], "queue", ORANGE)
    named(axes, "pictures")


def _line(axes: Axes, at: list[float], values: Sequence[float], name: str, color: str) -> None:
    axes.plot(at, values, color=color, linewidth=1.7)
    there = [place for place, value in enumerate(values) if not math.isnan(value)]
    if there:
        last = (at[there[-1]], values[there[-1]])
        beside(axes, last, name, color, shift=(5, 0), va="center")
