"""The whole run, second by second: users, answers, times, and what waited in the service."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest import canvas
from loadtest.canvas import BLUE, GRAY, GREEN, ORANGE, RED
from loadtest.trial.result import Result
from loadtest.trial.second import Second
from loadtest.trial.step import Service
from loadtest.watch import Look

ROOM = 0.07  # of the width, right of the last second, for names


def course(result: Result, below: str) -> Figure:
    curve = result.curve
    figure, axes = canvas.panels(
        (1.1, 1.5, 1.5, 1.4), curve.finding, curve.caveat or below, warned=curve.generator_bound
    )
    users, answers, times, inside = axes
    # In the first one they prepare, in the last they may have gone.
    seconds = [second for second in result.seconds[1:] if second.users]
    at = [second.at - result.asking.started for second in seconds]
    counts = [second.users for second in seconds]
    users.set_xlim(at[0], at[-1] + ROOM * max(1, at[-1] - at[0]))
    users.fill_between(at, counts, step="post", color=GRAY, alpha=0.2, linewidth=0)
    users.step(at, counts, where="post", color=GRAY, linewidth=1.8)
    canvas.named(users, "users")
    _answers(answers, at, seconds)
    canvas.in_milliseconds(times, result.slo.p99, ticks=(1, 3))
    canvas.named(times, "milliseconds\nto an answer")
    quantiles = (("p99", RED, 0.99), ("p50", GREEN, 0.5))
    _lines(
        times,
        at,
        [
            (name, color, canvas.milliseconds([second.told.quantile(q) for second in seconds]))
            for name, color, q in quantiles
        ],
    )
    _inside(inside, [look for look in result.looks if at[0] <= look.at <= at[-1] + 1])
    users.set_ylim(bottom=0)
    inside.set_xlabel("seconds since the start", fontsize=11)
    return figure


def _answers(axes: Axes, at: list[float], seconds: list[Second]) -> None:
    told = [second.told for second in seconds]
    canvas.named(axes, "answers\na second")
    _lines(
        axes,
        at,
        [
            ("right", BLUE, [each.right for each in told]),
            ("failed", RED, [each.failed for each in told]),
            ("refused", ORANGE, [each.refused for each in told]),
        ],
    )


def _inside(axes: Axes, looks: list[Look]) -> None:
    """Of the service, between one look and the next."""
    pairs = ((last.at, Service.between(first, last)) for first, last in pairwise(looks))
    told = [(at, service) for at, service in pairs if service]
    at = [each for each, _ in told]
    canvas.named(axes, "pictures")
    _lines(
        axes,
        at,
        [
            ("batch", BLUE, [service.batch or math.nan for _, service in told]),
            ("queue", ORANGE, [service.queue for _, service in told]),
        ],
    )


def _lines(axes: Axes, at: list[float], lines: Iterable[tuple[str, str, Sequence[float]]]) -> None:
    """Each with its name, colour and values; one that is 0 all the time is left out."""
    ends = []
    for name, color, values in lines:
        if any(values):
            axes.plot(at, values, color=color, linewidth=1.7)
            last = next((value for value in reversed(values) if not math.isnan(value)), math.nan)
            ends.append((name, color, at[-1], last))
    axes.autoscale_view()
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)
    canvas.names(axes, ends)
