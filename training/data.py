"""Data sets by name, or from a user's own folder.

    mnist            from MNIST_DIR, else data/MNIST/raw, else downloaded; if that fails and the
                     set was not requested by name: digits, with a warning
    fashion-mnist, kmnist, emnist-digits, emnist-letters
                     from data/<name>/raw, else downloaded with torchvision
    digits           images that the project's dependencies contain, without a network
    a folder         the user's own images: see `own`

A data set is held in memory as a whole: MNIST takes 55 MB, and a batch is one indexing operation.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from pathlib import Path
from typing import Any

from contract.card import SIDE, DigitPreparation, Preparation
from training.embedded import EMBEDDED_RECIPE, embedded_digits
from training.fetch import SOURCES, fetch
from training.idx import BadData
from training.own import Part, read_own, read_test

DIGITS = SOURCES["mnist"].labels
NAMES = (*SOURCES, "digits")
ROOT = Path("data")  # for downloads
USUAL_BATCH = 128  # images, the recipe's default
FEW_BATCHES = 8  # at least, of training images an epoch

log = logging.getLogger("training")


@dataclass(frozen=True)
class DataSet:
    """Images with their labels, for training and for testing."""

    wanted: str  # the argument that finds it again: one of NAMES or the path of a folder
    name: str  # one of NAMES, or the name of the user's folder
    source: str  # where it was read from
    labels: Sequence[str]  # the names of class 0, 1, ...
    train: Part
    test: Part
    recipe: Mapping[str, Any] = field(default_factory=dict)  # options that suit the data set
    preparation: Preparation = DigitPreparation()  # how the service makes such pixels of an image
    shape: tuple[int, ...] = (SIDE, SIDE)  # of one image: (h, w) gray or (h, w, 3) RGB


def find_data_set(
    wanted: str | Path | None = None, *, mnist_dir: Path | None = None, root: Path = ROOT
) -> DataSet:
    """The data set with that name or in that folder. None: MNIST, or the embedded digits.

    A data set that was requested is never replaced by another one: BadData if it is unavailable.
    """
    if wanted is None:
        return _mnist_or_digits(mnist_dir, root)
    if wanted == "digits":
        return embedded()
    if wanted == "mnist" and mnist_dir is not None:
        return read_mnist(mnist_dir)
    if wanted in SOURCES:
        name = str(wanted)
        try:
            return _read(name, fetch(name, root))
        except OSError as error:
            raise BadData(f"{name} cannot be downloaded: {_last_line(error)}") from error
    folder = Path(wanted)
    if not folder.exists():
        raise BadData(f"there is no folder or data set {wanted}; data sets are {', '.join(NAMES)}")
    path, parts = folder.resolve(), read_own(folder)
    return DataSet(str(path), path.name, str(folder), *parts, _recipe_of_few(len(parts[1][0])))


def suited(data: DataSet, preset: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The options of a preset, or those of the data; small sets have small batches in both."""
    if preset is None:
        return data.recipe
    return preset if data.wanted in NAMES else {**data.recipe, **preset}


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
    wanted: str, labels: Sequence[str], *, mnist_dir: Path | None = None, root: Path = ROOT
) -> tuple[str, Part]:
    """Name and test part of a data set or a folder, whose classes must be `labels`.

    A folder may have images of only some of the classes. Without a test part, all are used.
    """
    if wanted not in NAMES and Path(wanted).is_dir():
        folder = Path(wanted)
        return folder.resolve().name, read_test(folder, tuple(labels))
    data = find_data_set(wanted, mnist_dir=mnist_dir, root=root)
    if tuple(data.labels) != tuple(labels):
        raise BadData(
            f"{wanted} has the classes {', '.join(data.labels)}; those of the run are "
            f"{', '.join(labels)}"
        )
    return data.name, data.test


def read_mnist(folder: Path) -> DataSet:
    """MNIST's four files; BadData if one of them differs from the published one."""
    return _read("mnist", folder)


def embedded() -> DataSet:
    """The digits that need no network."""
    source = "scikit-learn's handwritten digits (UCI optdigits) and drawn ones"
    return DataSet("digits", "digits", source, DIGITS, *embedded_digits(), EMBEDDED_RECIPE)


def _mnist_or_digits(mnist_dir: Path | None, root: Path) -> DataSet:
    try:
        return read_mnist(mnist_dir or fetch("mnist", root))
    except OSError as error:
        if mnist_dir is not None:
            raise
        log.warning("\n%s\n", _OFFLINE.format(reason=_last_line(error)))
        return embedded()


def _read(name: str, folder: Path) -> DataSet:
    source = SOURCES[name]
    return DataSet(name, name, str(folder), *source.read(folder), source.recipe)


def _last_line(error: OSError) -> str:
    return str(error).strip().splitlines()[-1]  # torchvision reports every mirror


_OFFLINE = """\
==================================================================================================
  MNIST IS NOT AVAILABLE, and downloading it failed: {reason}
  Training on the digits that come with scikit-learn (1,797 of 8x8 pixels) and drawn ones instead.
  The model will be worse: about 97 % accuracy on MNIST's test digits instead of 99.6 %.
  To train on MNIST, set the folder that holds its four files: MNIST_DIR=/path/to/mnist make demo
=================================================================================================="""
