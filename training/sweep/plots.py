"""The plots of a sweep: accuracy by trial, by each option, and the importance of the options.

A trial that was stopped early is shown in gray, with the accuracy of its last epoch.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from optuna import Study
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from training.plots import BLUE, GREY, ORANGE, new_figure, plain_axes

MOST_COLUMNS = 4


def history(trials: Sequence[FrozenTrial], best: FrozenTrial) -> Figure:
    """The accuracy of each trial, and the best so far."""
    figure = new_figure(8, 3.6)
    axes = figure.subplots()
    _scatter(axes, trials, [trial.number for trial in trials], best)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    highest = [*accumulate((trial.value or 0 for trial in complete), max)]
    axes.step(
        [trial.number for trial in complete],
        highest,
        color=ORANGE,
        where="post",
        label="best so far",
    )
    axes.set_xlabel("trial")
    axes.set_ylabel("validation accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False, loc="lower right")
    return figure


def importance(study: Study) -> Figure | None:
    """The importance of each option by Optuna; None if all trials have the same accuracy."""
    try:
        shares = get_param_importances(study)
    except (RuntimeError, ValueError):  # all trials have the same accuracy, or no common option
        return None
    if not shares:
        return None
    figure = new_figure(8, 1 + 0.4 * len(shares))
    axes = figure.subplots()
    names = [name.replace("_", " ") for name in shares]
    bars = axes.barh(names[::-1], [*shares.values()][::-1], color=BLUE)
    axes.bar_label(bars, fmt="{:.0%}", padding=3)
    axes.set_xlim(0, 1.1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("importance for the validation accuracy (PED-ANOVA)")
    plain_axes(axes)
    axes.grid(visible=False)
    return figure


def options(trials: Sequence[FrozenTrial], best: FrozenTrial) -> Figure:
    """The accuracy by the values of each option."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    columns = min(len(names), MOST_COLUMNS)
    rows = -(-len(names) // columns)
    figure = new_figure(1 + 3 * columns, 3.2 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    figure.supylabel("validation accuracy", fontsize="medium")
    places = [*grid.flat]
    for axes, name in zip(places, names, strict=False):
        having = [trial for trial in trials if name in trial.params]
        distribution = having[0].distributions[name]
        values: list[Any] = [trial.params[name] for trial in having]
        if isinstance(distribution, CategoricalDistribution):
            words = [str(choice) for choice in distribution.choices]
            values = [words.index(str(value)) for value in values]
            axes.set_xticks(range(len(words)), words)
            axes.set_xlim(-0.5, len(words) - 0.5)
        elif isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=4))
            axes.xaxis.set_minor_formatter(NullFormatter())
        _scatter(axes, having, values, best)
        axes.set_xlabel(name.replace("_", " "))
    for axes in places[len(names) :]:  # of the last row
        axes.set_visible(False)
    return figure


def accuracy_of(trial: FrozenTrial) -> float | None:
    """The accuracy with which it ended, or at which it was stopped early."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    if trial.state == TrialState.PRUNED and trial.intermediate_values:
        return trial.intermediate_values[max(trial.intermediate_values)]
    return None


def _scatter(
    axes: Axes, trials: Sequence[FrozenTrial], places: Sequence[float], best: FrozenTrial
) -> None:
    for state, colour, label in (
        (TrialState.COMPLETE, BLUE, "completed"),
        (TrialState.PRUNED, GREY, "stopped early"),
    ):
        points = [
            (place, accuracy)
            for place, trial in zip(places, trials, strict=True)
            if trial.state == state and (accuracy := accuracy_of(trial)) is not None
        ]
        if points:
            axes.plot(*zip(*points, strict=True), "o", color=colour, ms=5, alpha=0.7, label=label)
    for place, trial in zip(places, trials, strict=True):
        if trial.number == best.number and best.value is not None:
            axes.plot([place], [best.value], "o", color=ORANGE, ms=10, mfc="none", mew=1.6)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    plain_axes(axes)
