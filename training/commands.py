"""The commands of `python -m training`: `evaluate`, `predict` and `compare` of runs, `sweep`."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from contract.command_line import program
from training.api import MNISTPredictor
from training.data import NAMES, find_test_images
from training.evaluate import accuracy_under_corruptions, judge
from training.idx import BadData
from training.image import BadImage
from training.model import GRAY_28, in_words
from training.plots import as_seen, corruption_sheet, write_plots
from training.run import Run


class BadSweep(Exception):
    """A sweep cannot be run; the message says what to do."""


def evaluate(words: Sequence[str], mnist_dir: Path | None) -> None:
    """Evaluate a completed run again: print a report, and write plots and evaluation.json."""
    parser = program("training evaluate", evaluate.__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="runs/<id> or runs/latest")
    parser.add_argument(
        "--data",
        metavar="SET or DIR",
        help=f"other test images: {', '.join(NAMES)} or a folder (default: the run's own)",
    )
    parser.add_argument(
        "--corrupted",
        action="store_true",
        help="also under fifteen corruptions as in MNIST-C, of 28x28",
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="for the report (default: RUN/evaluation/SET)"
    )
    arguments = parser.parse_args(words)
    run = Run.named(arguments.run)
    checkpoint = run.checkpoint()
    network, labels = checkpoint.build(), checkpoint.labels
    if arguments.data is None:
        name, (pixels, truth) = "own-test-set", run.test_set()
    else:
        name, (pixels, truth) = find_test_images(
            arguments.data, labels, prepare=checkpoint.prepare, mnist_dir=mnist_dir
        )
    if arguments.corrupted and checkpoint.shape != GRAY_28:
        raise BadData(
            f"--corrupted is for gray images of 28x28, those of {run.folder} are "
            f"{in_words(checkpoint.shape)}"
        )
    into = arguments.into or run.folder / "evaluation" / name
    into.mkdir(parents=True, exist_ok=True)
    test = torch.tensor(pixels), torch.tensor(truth).long()
    judged = judge(network, *test, checkpoint.temperature, labels)
    found: dict[str, Any] = judged.evaluation().model_dump(mode="json") | judged.measured()
    console = _console(None if sys.stdout.isatty() else 100)
    console.print(f"{judged.summary()} ({run.folder}, {name})", highlight=False)
    console.print(
        _table(
            ("class", "precision", "recall", "F1", "images"),
            (
                (row.label, *(f"{rate:.2%}" for rate in (row.precision, row.recall, row.f1)),
                 f"{row.support:,}")
                for row in judged.evaluation().per_class
            ),
        ),
        _table(
            ("label", "predicted", "times"),
            (map(str, row.values()) for row in judged.commonest_confusions()),
            title="Most frequent confusions",
        ),
    )  # fmt: skip
    if arguments.corrupted:
        accuracies = accuracy_under_corruptions(network, *test)
        mean = sum(accuracies.values()) / len(accuracies)
        found["corrupted"] = accuracies | {"mean": mean}
        rows = ((name, f"{accuracy:.2%}") for name, accuracy in found["corrupted"].items())
        console.print(_table(("corruption", "accuracy"), rows))
        corruption_sheet(test[0], accuracies).savefig(into / "corruptions.png")
    write_plots(into, judged, as_seen(pixels, checkpoint.preparation))
    (into / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n")
    console.print(f"Plots and evaluation.json: {into}", highlight=False)


def predict(words: Sequence[str], _: Path | None) -> None:
    """Print the class of each image and its confidence, as a completed run's network predicts."""
    parser = program("training predict", predict.__doc__)
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument(
        "--run",
        type=Path,
        default=Path("runs/latest"),
        metavar="RUN",
        help="runs/<id>, a checkpoint.pt or a file of save_model (default: runs/latest)",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="my_module:build, which a .pt file may import and run if it was trained with it",
    )
    arguments = parser.parse_args(words)
    path: Path = arguments.run
    predictor = MNISTPredictor(
        path if path.suffix == ".pt" else Run.named(path).folder, network=arguments.network
    )
    unreadable = 0
    for image in arguments.images:
        try:
            found = predictor.predict(image)
        except OSError as error:
            unreadable += 1
            print(f"{image} cannot be opened: {error.strerror}", file=sys.stderr)
        except BadImage as error:
            unreadable += 1
            print(error if str(image) in str(error) else f"{image}: {error}", file=sys.stderr)
        else:
            print(f"{image}: {found.label}, {found.confidence:.2%}")
    if unreadable:
        raise BadData(f"{unreadable} of {len(arguments.images)} images could not be read")


def compare(words: Sequence[str], _: Path | None) -> None:
    """Print a table of runs with their results and the options in which they differ."""
    parser = program("training compare", compare.__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="runs/<id> or runs/latest"
    )
    named = [Run.named(path) for path in parser.parse_args(words).runs]
    runs = [run.metrics() for run in named]
    table = Table("", *(run.id for run in named), box=None, pad_edge=False)
    for name, value in _COMPARED.items():
        table.add_row(name, *(value(run) for run in runs))
    recipes = [run["recipe"] for run in runs]
    for option in sorted({option for recipe in recipes for option in recipe}):
        values = [str(recipe.get(option, "")) for recipe in recipes]
        if len(set(values)) > 1:
            table.add_row(option.replace("_", " "), *values, style="cyan")
    width = None if sys.stdout.isatty() else max(100, 26 + 22 * len(runs))
    _console(width).print(table)


def sweep(words: Sequence[str], _: Path | None) -> None:
    """Search for the best recipe. Raises BadSweep if Optuna is not installed, and as `run`."""
    try:
        from training.sweep.command import run
    except ModuleNotFoundError as error:
        if error.name not in ("optuna", "sqlalchemy"):
            raise
        raise BadSweep(
            "sweep needs Optuna: install the dependency group sweep "
            "(pip install --group sweep --constraint constraints.txt)"
        ) from error
    run(words)


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


def _console(width: int | None) -> Console:
    """It prints names of classes and folders as they are: [bold] and :smile: too."""
    return Console(width=width, markup=False, emoji=False)


def _table(head: Sequence[str], rows: Iterable[Iterable[str]], title: str | None = None) -> Table:
    table = Table(*head, box=None, pad_edge=False, title=title)
    for row in rows:
        table.add_row(*row)
    return table
