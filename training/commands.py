"""The commands `python -m training evaluate` and `compare`, for finished runs."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from training.data import NAMES, find_test_pictures
from training.evaluate import Judged, accuracy_under_corruptions, judge
from training.plots import corruption_sheet, write_plots
from training.run import Run


def evaluate(words: Sequence[str], mnist_dir: Path | None) -> None:
    """Judge a finished run again: report, plots and evaluation.json, in a folder of their own."""
    arguments = _evaluate_parser().parse_args(words)
    run = Run(arguments.run)
    checkpoint = run.checkpoint()
    network, labels = checkpoint.build(), checkpoint.labels
    if arguments.data is None:
        name, (pixels, truth) = "own-test-set", run.test_set()
    else:
        name, (pixels, truth) = find_test_pictures(arguments.data, labels, mnist_dir=mnist_dir)
    into = arguments.into or run.folder / "evaluation" / name
    into.mkdir(parents=True, exist_ok=True)
    test = torch.tensor(pixels), torch.tensor(truth).long()
    judged = judge(network, *test, checkpoint.temperature, labels)
    found: dict[str, Any] = judged.evaluation().model_dump(mode="json") | judged.measured()
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(f"{judged.summary()} ({run.folder}, {name})", highlight=False)
    console.print(_classes(judged), _confusions(judged))
    if arguments.corrupted:
        accuracies = accuracy_under_corruptions(network, *test)
        mean = sum(accuracies.values()) / len(accuracies)
        found["corrupted"] = accuracies | {"mean": mean}
        console.print(_corruptions(accuracies, mean))
        corruption_sheet(test[0], accuracies).savefig(into / "corruptions.png")
    write_plots(into, judged, pixels)
    (into / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n")
    console.print(f"Plots and evaluation.json: {into}", highlight=False)


def compare(words: Sequence[str], _: Path | None) -> None:
    """A table of runs: what they reached, and the knobs in which they differ."""
    parser = ArgumentParser("python -m training compare", description=compare.__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a folder under runs/")
    folders: list[Path] = parser.parse_args(words).runs
    runs = [Run(folder).metrics() for folder in folders]
    table = Table("", *(folder.name for folder in folders), box=None, pad_edge=False)
    for name, value in _COMPARED.items():
        table.add_row(name, *(value(run) for run in runs))
    recipes = [run["recipe"] for run in runs]
    for knob in sorted({knob for recipe in recipes for knob in recipe}):
        values = [str(recipe.get(knob, "")) for recipe in recipes]
        if len(set(values)) > 1:
            table.add_row(knob.replace("_", " "), *values, style="cyan")
    width = None if sys.stdout.isatty() else max(100, 26 + 22 * len(runs))
    Console(width=width).print(table)


_COMPARED: dict[str, Callable[[dict[str, Any]], str]] = {
    "data": lambda run: run["data_set"]["name"],
    "network": lambda run: run["recipe"]["network"],
    "parameters": lambda run: f"{run['parameters']:,}",
    "test accuracy": lambda run: f"{run['evaluation']['accuracy']:.2%}",
    "calibration error": lambda run: f"{run['evaluation']['calibration_error']:.2%}",
    "kept epoch": lambda run: f"{run['kept_epoch']} of {len(run['history'])}",
    "time": lambda run: f"{run['wall_seconds']:.0f} s",
    "CPU time": lambda run: f"{run['cpu_seconds']:.0f} s",
    "device": lambda run: run["device"],
}  # rows of the table, from each run's training_metrics.json


def _classes(judged: Judged) -> Table:
    table = Table("class", "precision", "recall", "F1", "pictures", box=None, pad_edge=False)
    for row in judged.evaluation().per_class:
        rates = (f"{rate:.2%}" for rate in (row.precision, row.recall, row.f1))
        table.add_row(row.label, *rates, f"{row.support:,}")
    return table


def _confusions(judged: Judged) -> Table:
    title = "Commonest confusions"
    table = Table("is", "taken for", "times", box=None, pad_edge=False, title=title)
    for row in judged.commonest_confusions():
        table.add_row(str(row["label"]), str(row["taken_for"]), str(row["times"]))
    return table


def _corruptions(accuracies: dict[str, float], mean: float) -> Table:
    table = Table("corruption", "right", box=None, pad_edge=False, show_footer=True)
    table.columns[0].footer, table.columns[1].footer = "mean", f"{mean:.2%}"
    for name, accuracy in accuracies.items():
        table.add_row(name, f"{accuracy:.2%}")
    return table


def _evaluate_parser() -> ArgumentParser:
    parser = ArgumentParser("python -m training evaluate", description=evaluate.__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder under runs/")
    parser.add_argument(
        "--data",
        metavar="SET or DIR",
        help=f"other pictures to judge by: {', '.join(NAMES)} or a folder (default: the run's own)",
    )
    parser.add_argument(
        "--corrupted", action="store_true", help="also under fifteen corruptions as of MNIST-C"
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="for the report (default: RUN/evaluation/SET)"
    )
    return parser
