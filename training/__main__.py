"""Train a network: python -m training [--data SET or DIR] [--preset NAME] [--epochs N] ...

python -m training                      train on MNIST (MNIST_DIR, or a download) into runs/<id>/
python -m training --resume RUN         resume a training that was stopped
python -m training evaluate RUN         evaluate a finished run again, on other data too
python -m training predict IMAGE ...    the class of each image, by the last run
python -m training compare RUN RUN ...  a table of runs
torchrun --nproc_per_node=2 -m training ...    in two processes
"""

import logging
import os
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import TypeAdapter
from torch import distributed

from contract.errors import NotConfirmed
from contract.jobs import JobId
from training.also import Also, check_folders, read_also
from training.commands import compare, evaluate, predict
from training.data import NAMES, DataSet, find_data_set, suited, training_images
from training.idx import BadData
from training.loop import Stopped
from training.place import Place, place_of
from training.reading import Reading
from training.recipe import PRESETS, BadRecipe, Recipe
from training.run import BadRun, Run
from training.settings import is_first_process, mnist_dir
from training.task import validation_size
from training.train import resume, resume_command, train_into

log = logging.getLogger("training")

COMMANDS = {"evaluate": evaluate, "predict": predict, "compare": compare}


def main(words: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if words is None else words
    try:
        if words and words[0] in COMMANDS:
            COMMANDS[words[0]](words[1:], mnist_dir())
        else:
            _train(_parser().parse_args(words))
    except (BadData, BadRecipe, BadRun, NotConfirmed, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        if stopped.folder is not None and is_first_process():
            how = resume_command(Run(stopped.folder))
            print(f"training: {stopped.reason}. Resume it with: {how}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("training: stopped", file=sys.stderr)
        return 130
    return 0


def _train(arguments: Namespace) -> None:
    given = Recipe.given_in(arguments)
    reading = Reading.given_in(arguments)
    if arguments.resume:
        others = (arguments.preset, arguments.recipe, arguments.data, arguments.job,
                  arguments.also)  # fmt: skip
        if given or any(others) or reading != Reading():
            raise BadRecipe("--resume uses the data and the recipe of the run: omit other flags")
        run = Run(arguments.resume)
        facts = run.facts()
        with place_of(Recipe.made_of(facts["recipe"])) as place:
            reading = Reading.of_facts(facts["data"])
            resume(run, _data_set(facts["data"]["wanted"], reading, place), place=place)
        return
    preset = PRESETS.get(arguments.preset or "default", {})
    if arguments.recipe:
        given = Recipe.read(arguments.recipe) | given
    recipe = Recipe.made_of(preset, given)  # reports mistakes before anything is loaded
    if "also_weight" in given and not arguments.also:
        raise BadRecipe("--also-weight has an effect only with --also")
    check_folders(arguments.also)
    if arguments.data is None or arguments.data in NAMES:
        recipe.check_use(given)
    images = training_images(arguments.data)
    if images and reading.limit is None:
        validation_size(images, recipe)
    with place_of(recipe) as place:
        data = _data_set(arguments.data, reading, place)
        options = suited(data, preset if arguments.preset else None)
        recipe = Recipe.made_of(options, given)
        recipe.check_use(given)
        also = _also(arguments.also, data, place)
        train_into(arguments.runs, data, recipe, place=place, job=arguments.job, also=also)


def _data_set(wanted: str | None, reading: Reading, place: Place) -> DataSet:
    """The data set that the first process finds, in every process."""
    if not place.first:
        log.setLevel(logging.ERROR)
    found = None
    with place.first_then_others():
        if place.first:
            found = find_data_set(wanted, mnist_dir=mnist_dir(), reading=reading)
    same, reading = place.broadcast((found.wanted, found.reading) if found else ("", reading))
    return found or find_data_set(same, mnist_dir=mnist_dir(), reading=reading)


def _also(folders: Sequence[Path], data: DataSet, place: Place) -> Also | None:
    """The images of `--also` as the first process finds them, in every process."""
    if not folders:
        return None
    with place.first_then_others():
        found = read_also(folders, data) if place.first else None
    return place.broadcast(found)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m training", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        metavar="SET or DIR",
        help=f"{', '.join(NAMES)}, or your own images: a folder with one folder for each class, "
        "four IDX files with MNIST's names, or a .csv file with the columns label,pixel0,... "
        "(default: mnist, or digits if it is unavailable)",
    )
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="more images of the same classes, such as accepted corrections: a folder with one "
        "folder for each class; a fifth of them, chosen by hash, is held out; may be repeated",
    )
    Reading.add_flags(parser)
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), help="a named recipe, which other flags modify"
    )
    parser.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE.toml",
        help='a file of options, such as epochs = 12 and network = "deep"; flags override it',
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs"
    )
    parser.add_argument(
        "--job", type=_job, metavar="ID", help="the retraining job it belongs to: the run's id"
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="resume runs/<id>")
    Recipe.add_flags(parser)
    return parser


def _job(word: str) -> str:
    try:
        return TypeAdapter(JobId).validate_python(word)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{word!r} is not the id of a job: letters, digits, '_' and '-', at most 64"
        ) from error


def _leave(code: int) -> NoReturn:
    """End the process, under torchrun without PyTorch's cleanup.

    The cleanup sometimes destroys the threads of the process group in an order that aborts the
    process (2.13, gloo), although all files are written.
    """
    if distributed.is_torchelastic_launched():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, in all parts
    _leave(main())
