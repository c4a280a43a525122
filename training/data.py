"""Where the pictures come from: a data set by its name, or a folder of the user's own.

    mnist            MNIST_DIR, else data/MNIST/raw, else downloaded; where it cannot be had and
                     nobody asked for it by name: digits, said loudly
    fashion-mnist, kmnist, emnist-digits, emnist-letters
                     data/<name>/raw, else downloaded with torchvision
    digits           what comes with this project's own packages, without a network
    a folder         the user's own pictures: see `own`

Whatever it is, all of it lies in memory: MNIST is 55 MB, and a batch is one indexing operation.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.embedded import EMBEDDED_RECIPE, embedded_digits
from training.fetch import SOURCES, fetch
from training.idx import BadData
from training.own import Part, read_idx, read_own, read_test

Pixels = NDArray[np.uint8]  # (n, 28, 28), 0 = paper, 255 = ink
Labels = NDArray[np.uint8]  # (n,)

DIGITS = tuple("0123456789")
NAMES = (*SOURCES, "digits")
ROOT = Path("data")  # where downloads go

# MD5 of MNIST's uncompressed content.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

log = logging.getLogger("training")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures with their labels, to learn from and to be judged by."""

    wanted: str  # what asks for it again: one of NAMES or the path of a folder
    name: str  # one of NAMES, or that of the user's folder
    source: str  # where it was read from
    labels: Sequence[str]  # the name of class 0, 1, ...
    train: Part
    test: Part
    recipe: Mapping[str, Any] = field(default_factory=dict)  # knobs that suit it better


def find_data_set(
    wanted: str | Path | None = None, *, mnist_dir: Path | None = None, root: Path = ROOT
) -> DataSet:
    """The data set of that name, or the one in that folder; MNIST or what is at hand for None.

    What was asked for must be what it should: BadData otherwise, never another data set.
    """
    if wanted is None:
        return _mnist_or_digits(mnist_dir, root)
    if wanted == "digits":
        return embedded()
    if wanted == "mnist" and mnist_dir is not None:
        return read_mnist(mnist_dir)
    if wanted in SOURCES:
        try:
            return _fetched(str(wanted), root)
        except OSError as error:
            raise BadData(f"{wanted} cannot be downloaded: {_last_line(error)}") from error
    folder = Path(wanted)
    if not folder.exists():
        raise BadData(f"no folder and no data set is called {wanted}; sets are {', '.join(NAMES)}")
    labels, train, test = read_own(folder)
    name = folder.resolve().name
    return DataSet(
        wanted=str(folder.resolve()),
        name=name,
        source=str(folder),
        labels=labels,
        train=train,
        test=test,
    )


def pictures_of(wanted: str | None) -> int | None:
    """How many pictures there are to learn from, where the name alone tells; None for a folder."""
    source = SOURCES.get(wanted or "mnist")
    return source.pictures if source else None


def find_test_pictures(
    wanted: str, labels: Sequence[str], *, mnist_dir: Path | None = None, root: Path = ROOT
) -> tuple[str, Part]:
    """Name and test part of a data set or a folder, whose classes must be those of `labels`.

    A folder with pictures of some of the classes will do: all of them are taken.
    """
    if wanted not in NAMES and Path(wanted).is_dir():
        folder = Path(wanted)
        return folder.resolve().name, read_test(folder, tuple(labels))
    data = find_data_set(wanted, mnist_dir=mnist_dir, root=root)
    if tuple(data.labels) != tuple(labels):
        raise BadData(
            f"{wanted} has the classes {', '.join(data.labels)}; the run tells apart "
            f"{', '.join(labels)}"
        )
    return data.name, data.test


def read_mnist(folder: Path) -> DataSet:
    """MNIST's four files, none of which may differ from the real ones."""
    labels, train, test = read_idx(folder, MNIST_MD5, DIGITS)
    return DataSet(
        wanted="mnist", name="mnist", source=str(folder), labels=labels, train=train, test=test
    )


def embedded() -> DataSet:
    """What comes with the project's own packages, without a network."""
    train, test = embedded_digits()
    return DataSet(
        wanted="digits",
        name="digits",
        source="scikit-learn's handwritten digits (UCI optdigits) and drawn ones",
        labels=DIGITS,
        train=train,
        test=test,
        recipe=EMBEDDED_RECIPE,
    )


def _mnist_or_digits(mnist_dir: Path | None, root: Path) -> DataSet:
    if mnist_dir is not None:
        return read_mnist(mnist_dir)
    try:
        return _fetched("mnist", root)
    except OSError as error:
        log.warning("\n%s\n", _OFFLINE.format(reason=_last_line(error)))
        return embedded()


def _fetched(name: str, root: Path) -> DataSet:
    folder = fetch(name, root)
    if name == "mnist":
        return read_mnist(folder)
    source = SOURCES[name]
    labels, train, test = source.read(folder)
    return DataSet(
        wanted=name,
        name=name,
        source=str(folder),
        labels=labels,
        train=train,
        test=test,
        recipe=source.recipe,
    )


def _last_line(error: OSError) -> str:
    return str(error).strip().splitlines()[-1]  # torchvision tells of every mirror


_OFFLINE = """\
==================================================================================================
  MNIST IS NOT AT HAND, and downloading it failed: {reason}
  Training on the digits that come with scikit-learn (1,797 of 8x8 pixels) and drawn ones instead.
  The model will be worse: about 97 % of MNIST's test digits instead of 99.6 %.
  For the real thing, name the folder that holds its four files: MNIST_DIR=/path/to/mnist make demo
=================================================================================================="""
