"""Train a network: python -m training [--data SET or DIR] [--preset NAME] [--epochs N] ...

python -m training                      train on MNIST (MNIST_DIR, or a download) into runs/<id>/
python -m training --resume RUN         resume a training that was stopped
python -m training evaluate RUN         evaluate a finished run again, on other data too
python -m training compare RUN RUN ...  a table of runs
torchrun --nproc_per_node=2 -m training ...    in two processes
"""

import logging
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import NoReturn

from torch import distributed

from training.commands import compare, evaluate
from training.data import NAMES, DataSet, find_data_set, pictures_of
from training.idx import BadData
from training.loop import Stopped
from training.place import Place, place_of
from training.recipe import PRESETS, BadRecipe, Recipe
from training.run import BadRun, Run
from training.settings import is_first_process, mnist_dir
from training.task import validation_size
from training.train import resume, resume_command, train_into

log = logging.getLogger("training")

COMMANDS = {"evaluate": evaluate, "compare": compare}


def main(words: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if words is None else words
    try:
        if words and words[0] in COMMANDS:
            COMMANDS[words[0]](words[1:], mnist_dir())
        else:
            _train(_parser().parse_args(words))
    except (BadData, BadRecipe, BadRun, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        if stopped.folder is not None and is_first_process():
            how = resume_command(Run(stopped.folder))
            print(f"training: {stopped.reason}. Go on with: {how}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("training: stopped at once; what was saved before is kept", file=sys.stderr)
        return 130
    return 0


def _train(arguments: Namespace) -> None:
    given = Recipe.given_in(arguments)
    if arguments.resume:
        if given or arguments.preset or arguments.data:
            raise BadRecipe("--resume uses the run's own data and recipe: give neither")
        run = Run(arguments.resume)
        facts = run.facts()
        with place_of(Recipe.made_of(facts["recipe"])) as place:
            resume(run, _data_set(facts["data"]["wanted"], place), place=place)
        return
    preset = PRESETS.get(arguments.preset or "default", {})
    recipe = Recipe.made_of(preset, given)  # reports a mistake before anything is loaded
    recipe.check_use(given)
    if pictures := pictures_of(arguments.data):
        validation_size(pictures, recipe)
    with place_of(recipe) as place:
        data = _data_set(arguments.data, place)
        suited = preset if arguments.preset else data.recipe
        train_into(arguments.runs, data, Recipe.made_of(suited, given), place=place)


def _data_set(wanted: str | None, place: Place) -> DataSet:
    """What the first process finds, in all of them."""
    if not place.first:
        log.setLevel(logging.ERROR)
    found = None
    with place.in_turn():
        if place.first:
            found = find_data_set(wanted, mnist_dir=mnist_dir())
    same = place.shared(found.wanted if found else "")
    return found or find_data_set(same, mnist_dir=mnist_dir())


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m training", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        metavar="SET or DIR",
        help=f"{', '.join(NAMES)}, or a folder of your own: a folder of pictures a class, or four "
        "IDX files named as MNIST's (default: mnist, or digits where it cannot be had)",
    )
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), help="a named recipe; other flags change it"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs"
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="resume runs/<id>")
    Recipe.add_flags(parser)
    return parser


def _leave(code: int) -> NoReturn:
    """End the process; under torchrun without taking PyTorch apart.

    There, threads of its process group are now and then destroyed in an order that aborts the
    process (2.13, gloo), after all is done and written.
    """
    if distributed.is_torchelastic_launched():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
