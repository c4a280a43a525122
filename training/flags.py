"""The flags of a training, and the data and the options of the recipe that they name."""

import logging
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from contract.command_line import CommandLine, program
from contract.jobs import JobId
from training.also import Also, check_folders, read_also
from training.data import NAMES, DataSet, find_data_set, suited, training_images
from training.place import Place
from training.presets import PRESETS
from training.reading import Reading
from training.recipe import BadRecipe, Recipe
from training.settings import mnist_dir
from training.task import validation_size

Options = Mapping[str, Any]  # of a recipe, by name

log = logging.getLogger("training")


def parser(description: str | None) -> CommandLine:
    flags = program("training", description)
    flags.add_argument(
        "--data",
        metavar="SET or DIR",
        help=f"{', '.join(NAMES)}, or your own images: a folder with one folder for each class, "
        "four IDX files with MNIST's names, or a .csv file with the columns label,pixel0,... "
        "(default: mnist, or digits if it is unavailable)",
    )
    flags.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="more images of the same classes, such as accepted corrections: a folder with one "
        "folder for each class; a fifth of them, chosen by hash, is held out; may be repeated",
    )
    Reading.add_flags(flags)
    flags.add_argument(
        "--preset", choices=tuple(PRESETS), help="a named recipe, which other flags modify"
    )
    flags.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE.toml",
        help='a file of options, such as epochs = 12 and network = "deep"; flags override it',
    )
    flags.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs"
    )
    flags.add_argument(
        "--job",
        type=_job,
        metavar="ID",
        help="the id of the run, such as that of the retraining job that it belongs to "
        "(default: the time)",
    )
    flags.add_argument("--resume", type=Path, metavar="RUN", help="resume runs/<id>")
    Recipe.add_flags(flags)
    return flags


def _job(word: str) -> str:
    try:
        return TypeAdapter(JobId).validate_python(word)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{word!r} is not the id of a job: letters, digits, '_' and '-', at most 64"
        ) from error


def checked_options(arguments: Namespace) -> tuple[Options, Options]:
    """The options of the preset, and those that were given.

    Raises BadRecipe or BadData for mistakes that show before any image is read.
    """
    preset: Options = PRESETS.get(arguments.preset or "default", {})
    given = Recipe.given_in(arguments)
    if arguments.recipe:
        given = Recipe.read(arguments.recipe) | given
    recipe = Recipe.made_of(preset, given)
    if "also_weight" in given and not arguments.also:
        raise BadRecipe("--also-weight has an effect only with --also")
    check_folders(arguments.also)
    if arguments.data is None or arguments.data in NAMES:
        recipe.check_use(given)
    images = training_images(arguments.data)
    if images and Reading.given_in(arguments).limit is None:
        validation_size(images, recipe)
    return preset, given


def data_and_options(arguments: Namespace, place: Place) -> tuple[DataSet, Options]:
    """The data set, and the options that suit it, which a named preset overrides."""
    data = data_set_of(arguments.data, Reading.given_in(arguments), place)
    return data, suited(data, PRESETS.get(arguments.preset))


def data_set_of(wanted: str | None, reading: Reading, place: Place) -> DataSet:
    """The data set that the first process finds, in every process."""
    if not place.first:
        log.setLevel(logging.ERROR)
    found = None
    with place.first_then_others():
        if place.first:
            found = find_data_set(wanted, mnist_dir=mnist_dir(), reading=reading)
    same, reading = place.broadcast((found.wanted, found.reading) if found else ("", reading))
    return found or find_data_set(same, mnist_dir=mnist_dir(), reading=reading)


def also_of(folders: Sequence[Path], data: DataSet, place: Place) -> Also | None:
    """The images of `--also` as the first process finds them, in every process."""
    if not folders:
        return None
    with place.first_then_others():
        found = read_also(folders, data) if place.first else None
    return place.broadcast(found)
