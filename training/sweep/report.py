"""The results of a sweep: a table, and files in its folder.

best.json                   the best trial, its options and the command that trains with them
trials.csv                  all trials
history.png                 accuracy by trial
importance.png              the share of the variance that each option explains
slice.png                   accuracy by each option
parallel_coordinates.png    the options of each trial as a line, coloured by accuracy
"""

import csv
import json
import logging
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import optuna.visualization.matplotlib as plots
from matplotlib import pyplot
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from contract.files import replace_together
from training.flags import Options
from training.plots import DPI
from training.sweep.space import flags_of
from training.sweep.trial import REASON, RUN, begun

BEST = 10  # trials in the table
PLOTTED = 3  # completed trials, at least

STATES = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}

PLOTS: dict[str, Callable[..., Any]] = {
    "history": plots.plot_optimization_history,
    "importance": plots.plot_param_importances,
    "slice": plots.plot_slice,
    "parallel_coordinates": plots.plot_parallel_coordinate,
}


def write_report(study: Study, folder: Path, words: Sequence[str]) -> None:
    """Print the best trials, and write the files; `words` are the flags of every training."""
    trials = begun(study)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        print("No trial was completed.", file=sys.stderr)
        return
    best = study.best_trial
    command = shlex.join(["python", "-m", "training", *words, *flags_of(best.params)])
    counts = {name: sum(trial.state == state for trial in trials) for state, name in STATES.items()}
    found = {
        "name": study.study_name,
        "trial": best.number,
        "run": str(folder / best.user_attrs[RUN]),
        "validation_accuracy": best.value,
        "options": best.params,
        "command": command,
        "trials": counts,
    }
    files = {
        "best.json": (json.dumps(found, indent=2) + "\n").encode(),
        "trials.csv": _csv(trials).encode(),
    }
    if len(complete) >= PLOTTED:
        files |= {f"{name}.png": _png(study, name) for name in PLOTS}
    folder.mkdir(parents=True, exist_ok=True)
    replace_together({folder / name: content for name, content in files.items()})
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_table(complete))
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    print(f"{summary}; plots, trials.csv and best.json: {folder}")
    print(f"Trial {best.number} is the best. Its run is {found['run']}; to train again:\n{command}")


def in_words(options: Options) -> str:
    """The options for people, with rounded numbers."""
    return ", ".join(f"{name.replace('_', ' ')} {_short(each)}" for name, each in options.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(complete: Sequence[FrozenTrial]) -> Table:
    names = list(dict.fromkeys(name for trial in complete for name in trial.params))
    head = ("trial", "validation accuracy", *(name.replace("_", " ") for name in names))
    table = Table(*head, box=None, pad_edge=False)
    for trial in sorted(complete, key=lambda trial: -(trial.value or 0))[:BEST]:
        options = (_short(trial.params.get(name, "")) for name in names)
        table.add_row(str(trial.number), f"{trial.value:.2%}", *options)
    return table


def _csv(trials: Sequence[FrozenTrial]) -> str:
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "validation_accuracy", "seconds", "run", *names, "reason"])
    for trial in trials:
        seconds = round(trial.duration.total_seconds(), 1) if trial.duration else ""
        run, reason = trial.user_attrs.get(RUN), trial.user_attrs.get(REASON)
        options = (trial.params.get(name) for name in names)
        accuracy = trial.value if trial.state == TrialState.COMPLETE else None
        writer.writerow(
            [trial.number, STATES[trial.state], accuracy, seconds, run, *options, reason]
        )
    return text.getvalue()


def _png(study: Study, name: str) -> bytes:
    mpl.use("agg")  # Optuna draws with pyplot, which would look for a display
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)  # choices of numbers
    png = BytesIO()
    with warnings.catch_warnings(action="ignore"):  # experimental; nothing to be done
        axes = PLOTS[name](study, target_name="validation accuracy")
        figure = axes.figure if hasattr(axes, "figure") else axes.flat[0].figure
        figure.savefig(png, format="png", dpi=DPI, bbox_inches="tight")
        pyplot.close(figure)
    return png.getvalue()
