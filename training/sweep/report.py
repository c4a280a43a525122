"""The results of a sweep: a table, and files in its folder.

    best.json                   the best trial, its options and the command that trains with them
    trials.csv                  all trials
    history.png, options.png    accuracy by trial, and by the values of each option
    importance.png              the importance of each option for the accuracy

They are written when a process ends, for the trials of all processes.
"""

import csv
import json
import shlex
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from contract.files import replace_together
from training.flags import Options
from training.plots import as_png
from training.sweep import plots
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
        drawn = {
            "history.png": plots.history(trials, best),
            "options.png": plots.options(trials, best),
            "importance.png": plots.importance(study),
        }
        files |= {name: as_png(figure) for name, figure in drawn.items() if figure}
    folder.mkdir(parents=True, exist_ok=True)
    replace_together({folder / name: content for name, content in files.items()})
    console = Console(width=None if sys.stdout.isatty() else 120)
    with console.capture() as captured:
        console.print(_table(complete))
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))  # rich pads them
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
        accuracy = plots.accuracy_of(trial)
        writer.writerow(
            [trial.number, STATES[trial.state], accuracy, seconds, run, *options, reason]
        )
    return text.getvalue()
