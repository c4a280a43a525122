"""Train a network: python -m training [--data DIR] [--epochs N] ...

Writes runs/<id>/ and names it in runs/latest. MNIST_DIR names a folder with MNIST's four files.
"""

import logging
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from contract.provenance import git_commit, library_versions
from training.data import DataSet, embedded, find_data_set
from training.idx import BadData
from training.loop import train
from training.model import parameters_of
from training.recipe import BadRecipe, Recipe
from training.run import BadRun, Checkpoint, Run


def main(words: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(words)
    try:
        Recipe().with_flags(arguments)  # a bad flag is told before anything is loaded
        data = _data_set(arguments)
        train_into(arguments.runs, data, data.recipe.with_flags(arguments))
    except (BadData, BadRecipe, BadRun, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training: stopped, nothing is kept of this run", file=sys.stderr)
        return 130
    return 0


def _data_set(arguments: Namespace) -> DataSet:
    if arguments.embedded:
        return embedded()
    mnist_dir = os.environ.get("MNIST_DIR")
    return find_data_set(own=arguments.data, mnist_dir=Path(mnist_dir) if mnist_dir else None)


def train_into(runs: Path, data: DataSet, recipe: Recipe) -> Run:
    """Train on `data` and leave a finished run, the latest, under `runs`."""
    run = Run.create(runs)
    print(
        f"Training on {len(data.train[0]):,} pictures from {data.source}, "
        f"{recipe.epochs} epochs, into {run.folder}",
        file=sys.stderr,
    )
    try:
        trained = train(data, recipe, run.log)
    except BaseException:
        run.discard()
        raise
    run.finish(
        Checkpoint(
            network="compact",
            weights=trained.network.state_dict(),
            recipe=recipe.as_dict(),
            labels=tuple(data.labels),
            temperature=trained.temperature,
            data_set=trained.data_facts,
            evaluation=trained.evaluation,
            git_commit=git_commit(),
            libraries=library_versions("torch", "numpy", "scikit-learn"),
        ),
        data.test,
        parameters=parameters_of(trained.network),
        device="cpu",
        wall_seconds=trained.wall_seconds,
        cpu_seconds=trained.cpu_seconds,
    )
    evaluation = trained.evaluation
    print(
        f"{evaluation.accuracy:.2%} of {trained.data_facts.test:,} test pictures right, "
        f"calibration error {evaluation.calibration_error:.2%}, in {trained.wall_seconds:.0f} s "
        f"({trained.cpu_seconds:.0f} s of CPU time). Checkpoint: {run.folder}/checkpoint.pt",
        file=sys.stderr,
    )
    return run


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m training", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--embedded", action="store_true", help="the digits that need no download, not MNIST"
    )
    which.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a folder with four IDX files of your own, named and shaped like MNIST's",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs"
    )
    Recipe.add_flags(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
