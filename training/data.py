"""Data sets by name, or from a user's own folder.

    mnist            from MNIST_DIR, else data/MNIST/raw, else downloaded; if that fails and the
                     set was not requested by name: digits, with a warning
    fashion-mnist, kmnist, emnist-digits, emnist-letters
                     from data/<name>/raw, else downloaded with torchvision
    digits           images that the project's dependencies contain, without a network
    a folder         the user's own images: see `own`
    a .csv file      the user's own images: see `table`

What a folder or file holds is prepared as the service does it, in the way that `preparation`
chooses. The pixels of the named data sets are used as they were published. A data set is held in
memory as a whole: MNIST takes 55 MB, and a batch is one indexing operation.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2, prod
from pathlib import Path
from typing import Any

import numpy as np

from contract.card import SIDE, DigitPreparation, Preparation
from contract.memory import free_memory
from contract.settings import mnist_command
from preprocessing.preparation import Preparer
from training.duplicates import report_duplicates
from training.embedded import EMBEDDED_RECIPE, embedded_digits
from training.fetch import SOURCES, fetch
from training.idx import BadData
from training.image import DIGITS as AS_DIGITS
from training.listing import Listing, Part, Parts, some
from training.model import in_words
from training.own import find_own, find_test
from training.preparation import choose, name_of
from training.presets import suggested
from training.reading import Reading, read_images

DIGITS = SOURCES["mnist"].labels
NAMES = (*SOURCES, "digits")
ROOT = Path("data")  # for downloads and for the cache
DEFAULT = Reading()
USUAL_BATCH = 128  # images, the recipe's default
HANDS = 0.05  # share of digits in other hands among MNIST's training images
FEW_BATCHES = 8  # at least, of training images an epoch
NON_DIGITS = {"mnist": 0.1, "digits": 0.1}  # share of images that are no digit, by data set

log = logging.getLogger("training")


@dataclass(frozen=True)
class DataSet:
    """Images with their labels, for training and for testing."""

    wanted: str  # the argument that finds it again: one of NAMES or the path of a folder or file
    name: str  # one of NAMES, or the name of the user's folder or file
    source: str  # where it was read from
    labels: Sequence[str]  # the names of class 0, 1, ...
    train: Part
    test: Part
    recipe: Mapping[str, Any] = field(default_factory=dict)  # options that suit the data set
    preparation: Preparation = AS_DIGITS.preparation  # how images become such pixels
    shape: tuple[int, ...] = (SIDE, SIDE)  # of one image: (h, w) gray or (h, w, 3) RGB
    reading: Reading = DEFAULT  # which reads the same images again
    validation: int = 0  # how many of the last images in `train` the user set apart for validation

    @property
    def is_prepared_as_digits(self) -> bool:
        return isinstance(self.preparation, DigitPreparation) and self.shape == (SIDE, SIDE)

    def check_fits(self, labels: Sequence[str], prepare: Preparer) -> None:
        """BadData unless these are the classes and the pixels of a loaded model."""
        if tuple(self.labels) != tuple(labels):
            raise BadData(
                f"{self.source} has the classes {some(self.labels)}; those of the loaded model are "
                f"{some(labels)}"
            )
        if (self.preparation, self.shape) != (prepare.preparation, prepare.shape):
            raise BadData(
                f"{self.source} has {in_words(self.shape)} images, prepared by "
                f"{name_of(self.preparation)}; those of the loaded model are "
                f"{in_words(prepare.shape)}, by {name_of(prepare.preparation)}"
            )


def find_data_set(
    wanted: str | Path | None = None,
    *,
    mnist_dir: Path | None = None,
    root: Path = ROOT,
    reading: Reading = DEFAULT,
) -> DataSet:
    """The data set with that name or in that folder. None: MNIST, or the embedded digits.

    A data set that was requested is never replaced by another one: BadData if it is unavailable.
    """
    if wanted is None:
        return _mnist_or_digits(mnist_dir, root, reading)
    if wanted in NAMES:
        return _named(str(wanted), mnist_dir, root, reading)
    path = Path(wanted)
    if not path.exists():
        raise BadData(
            f"there is no folder, file or data set {wanted}; data sets are {', '.join(NAMES)}"
        )
    return _own(path, root, reading)


def suited(data: DataSet, preset: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The options that suit the data, and those of a preset, which override them.

    Small sets have small batches with a preset too. MNIST has digits in other hands, and digits
    have images that are no digit.
    """
    general = suggested(data.shape, data.labels, len(data.train[0]))
    if data.wanted == "mnist" and data.shape == (SIDE, SIDE):
        general["hands"] = HANDS
    if data.wanted in NON_DIGITS and data.is_prepared_as_digits:
        general["non_digits"] = NON_DIGITS[data.wanted]
    if preset is None:
        return {**general, **data.recipe}
    return {**general, **_recipe_of_few(len(data.train[0])), **preset}


def _recipe_of_few(images: int) -> dict[str, Any]:
    """The batch size of a small set, so that an epoch has at least FEW_BATCHES batches."""
    if images >= FEW_BATCHES * USUAL_BATCH:
        return {}
    return {"batch_size": max(2, 2 ** int(log2(max(1, images // FEW_BATCHES))))}


def training_images(wanted: str | None) -> int | None:
    """The number of training images of a data set that is known by its name; None for a folder."""
    source = SOURCES.get(wanted or "mnist")
    return source.images if source else None


def find_test_images(
    wanted: str,
    labels: Sequence[str],
    *,
    prepare: Preparer = AS_DIGITS,
    mnist_dir: Path | None = None,
    root: Path = ROOT,
    foreign: bool = False,
) -> tuple[str, Part]:
    """Name and test part of a data set or a folder, whose classes must be `labels`.

    `prepare` makes the pixels that the network reads. A folder may have images of only some of the
    classes. Without a test part, the images on which a training would test are used, or all of them
    for a `foreign` network, which was trained elsewhere: see `own.find_test`.
    """
    path = Path(wanted)
    if wanted not in NAMES and path.exists():
        listing = find_test(path, tuple(labels), foreign=foreign)
        return path.resolve().name, _parts(listing, prepare, root).test
    data = find_data_set(wanted, mnist_dir=mnist_dir, root=root)
    if tuple(data.labels) != tuple(labels):
        raise BadData(
            f"{wanted} has the classes {some(data.labels)}; those of the run are {some(labels)}"
        )
    if (data.preparation, data.shape) == (prepare.preparation, prepare.shape):
        return data.name, data.test
    listing = Listing(Path(data.source), tuple(labels), *data.test, 0)
    return data.name, _parts(listing, prepare, root).test


def read_mnist(folder: Path) -> DataSet:
    """MNIST's four files; BadData if one of them differs from the published one."""
    return _read("mnist", folder, DEFAULT)


def embedded(reading: Reading = DEFAULT) -> DataSet:
    """The digits that need no network."""
    source = "scikit-learn's handwritten digits (UCI optdigits) and drawn ones"
    listing = Listing.of_parts(Path("digits"), DIGITS, *embedded_digits())
    return _ready(
        "digits", source, listing, reading, preparation=DigitPreparation(), recipe=EMBEDDED_RECIPE
    )


# ---- private ---------------------------------------------------------------------------------


def _mnist_or_digits(mnist_dir: Path | None, root: Path, reading: Reading) -> DataSet:
    try:
        return _read("mnist", mnist_dir or fetch("mnist", root), reading)
    except OSError as error:
        if mnist_dir is not None:
            raise
        log.warning("\n%s\n", _OFFLINE.format(reason=_last_line(error), command=mnist_command()))
        return embedded(reading)


def _named(name: str, mnist_dir: Path | None, root: Path, reading: Reading) -> DataSet:
    if name == "digits":
        return embedded(reading)
    if name == "mnist" and mnist_dir is not None:
        return _read(name, mnist_dir, reading)
    try:
        return _read(name, fetch(name, root), reading)
    except OSError as error:
        advice = "; MNIST_DIR can name a folder that has it" if name == "mnist" else ""
        raise BadData(f"{name} cannot be downloaded: {_last_line(error)}{advice}") from error


def _read(name: str, folder: Path, reading: Reading) -> DataSet:
    source = SOURCES[name]
    listing = source.read(folder)
    return _ready(
        name, str(folder), listing, reading, preparation=source.preparation, recipe=source.recipe
    )


def _ready(
    name: str,
    source: str,
    listing: Listing,
    reading: Reading,
    *,
    preparation: Preparation,
    recipe: Mapping[str, Any],
) -> DataSet:
    """A data set with a name. Its pixels are as published, unless the reading changes them."""
    listing = listing.limited(reading.limit)
    is_usual = reading.preparation in ("auto", preparation.kind, preparation)
    if is_usual and reading.size is None and reading.gray is not False:
        pixels = np.asarray(listing.images)
        train, test, _ = listing.parts(pixels, np.ones(len(pixels), np.bool_))
        shape = pixels.shape[1:]
    else:
        if reading.preparation == "auto":
            reading = reading.model_copy(update={"preparation": "stretch"})
        prepare = choose(listing, reading)
        train, test, _ = _parts(listing, prepare, ROOT)
        preparation, shape = prepare.preparation, prepare.shape
    usual = recipe if tuple(shape) == (SIDE, SIDE) else {}  # which is for gray images of that size
    recipe = {**usual, **_recipe_of_few(len(train[0]))}
    return DataSet(
        name, name, source, listing.names, train, test, recipe, preparation, shape, reading
    )


def _own(path: Path, root: Path, reading: Reading) -> DataSet:
    listing = find_own(path).limited(reading.limit)
    prepare = choose(listing, reading)
    train, test, validation = _parts(listing, prepare, root)
    chosen = {"preparation": prepare.preparation, "gray": len(prepare.shape) == 2, "size": None}
    return DataSet(
        str(path.resolve()),
        path.resolve().name,
        str(path),
        listing.names,
        train,
        test,
        _recipe_of_few(len(train[0])),
        prepare.preparation,
        prepare.shape,
        reading.model_copy(update=chosen),
        validation,
    )


def _parts(listing: Listing, prepare: Preparer, root: Path) -> Parts:
    _check_memory(listing, prepare)
    contents = read_images(listing.where, listing.images, prepare, root / "cache")
    if listing.train:
        report_duplicates(listing, contents.pixels, contents.usable)
    return listing.parts(contents.pixels, contents.usable)


def _check_memory(listing: Listing, prepare: Preparer) -> None:
    """BadData if the pixels do not fit; a training holds them twice, in their order and its own."""
    size = len(listing.labels) * prod(prepare.shape) * (2 if listing.train else 1)
    free = free_memory()
    if free is not None and size > free:
        raise BadData(
            f"{listing.where}: {len(listing.labels):,} images of {in_words(prepare.shape)} take "
            f"{size / 2**30:,.1f} GiB of memory, and {free / 2**30:,.1f} GiB are free: make them "
            "smaller with --size, or use fewer with --limit"
        )


def _last_line(error: OSError) -> str:
    return str(error).strip().splitlines()[-1]  # torchvision reports every mirror


_OFFLINE = """\
==================================================================================================
  MNIST IS NOT AVAILABLE, and downloading it failed: {reason}
  Training on the digits that come with scikit-learn (1,797 of 8x8 pixels) and drawn ones instead.
  The model will be worse: about 98 % accuracy on MNIST's test digits instead of 99.6 %.
  To train on MNIST, set the folder that holds its four files: {command}
=================================================================================================="""
