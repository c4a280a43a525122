"""Where the digits come from: the user's folder, MNIST, or what is embedded.

    --data DIR                  four IDX files of the user's own, shaped like MNIST
    MNIST_DIR                   MNIST's four files, checked by MD5; never replaced by something else
    data/MNIST/raw              the same, from an earlier download
    download                    with torchvision, to data/MNIST/raw
    embedded                    offline: digits from scikit-learn and drawn ones, said loudly

Whatever it is, all of it lies in memory: MNIST is 55 MB, and a batch is one indexing operation.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import idx
from training.download import download_mnist
from training.embedded import EMBEDDED_RECIPE, embedded_digits
from training.idx import BadData
from training.recipe import Recipe

Pixels = NDArray[np.uint8]  # (n, 28, 28), 0 = paper, 255 = ink
Labels = NDArray[np.uint8]  # (n,)

SIDE = 28  # pixels
DIGITS = tuple("0123456789")
RAW = Path("data/MNIST/raw")  # where torchvision puts MNIST under data/

# file: (dimensions, MD5 of MNIST's uncompressed content)
FILES = {
    "train-images-idx3-ubyte": (3, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (1, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (3, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (1, "27ae3e4e09519cfbb04c329615203637"),
}

log = logging.getLogger("training")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures with their labels, to learn from and to be judged by."""

    name: str  # "mnist", "embedded-digits" or the name of the user's folder
    source: str  # where it was read from
    labels: Sequence[str]  # the name of class 0, 1, ...
    train: tuple[Pixels, Labels]
    test: tuple[Pixels, Labels]
    recipe: Recipe = field(default_factory=Recipe)  # what suits it, where the user says nothing


def find_data_set(
    *, own: Path | None = None, mnist_dir: Path | None = None, raw: Path = RAW
) -> DataSet:
    """The first data set of the list above that is there.

    A folder that was named must hold what it should: BadData otherwise, never another data set.
    """
    if own is not None:
        return read_folder(own, name=own.resolve().name, checked=False)
    if mnist_dir is not None:
        return read_folder(mnist_dir, name="mnist", checked=True)
    if not _complete(raw):
        log.info("Downloading MNIST to %s", raw)
        try:
            download_mnist(raw.parent.parent)
        except OSError as error:
            reason = str(error).strip().splitlines()[-1]  # torchvision tells of every mirror
            log.warning("\n%s\n", _OFFLINE.format(reason=reason))
            return embedded()
    return read_folder(raw, name="mnist", checked=True)


def read_folder(folder: Path, *, name: str, checked: bool) -> DataSet:
    """The four IDX files in `folder`; `checked` compares them with MNIST's checksums."""
    arrays = []
    for file, (dimensions, md5) in FILES.items():
        path = idx.find(folder, file)
        if path is None:
            raise BadData(f"{folder} has no {file} or {file}.gz. It must hold: {', '.join(FILES)}")
        arrays.append(idx.read(path, dimensions=dimensions, md5=md5 if checked else None))
    train_pixels, train_labels, test_pixels, test_labels = arrays
    _check_part(folder, "train", train_pixels, train_labels)
    _check_part(folder, "t10k", test_pixels, test_labels)
    return DataSet(
        name=name,
        source=str(folder),
        labels=DIGITS,
        train=(train_pixels, train_labels),
        test=(test_pixels, test_labels),
    )


def _check_part(folder: Path, part: str, pixels: Pixels, labels: Labels) -> None:
    if pixels.shape[1:] != (SIDE, SIDE):
        raise BadData(f"{folder}: {part} pictures are {pixels.shape[1:]} pixels, not (28, 28)")
    if len(pixels) != len(labels):
        raise BadData(f"{folder}: {part} has {len(pixels)} pictures but {len(labels)} labels")
    if len(labels) == 0 or labels.max() >= len(DIGITS):
        raise BadData(f"{folder}: {part} labels must be 0 to 9, one a picture, and not none")


def _complete(folder: Path) -> bool:
    return all(idx.find(folder, file) for file in FILES)


def embedded() -> DataSet:
    """What comes with the project's own packages, without a network."""
    train, test = embedded_digits()
    source = "scikit-learn's handwritten digits (UCI optdigits) and drawn ones"
    return DataSet(
        name="embedded-digits",
        source=source,
        labels=DIGITS,
        train=train,
        test=test,
        recipe=EMBEDDED_RECIPE,
    )


_OFFLINE = """\
==================================================================================================
  MNIST IS NOT AT HAND, and downloading it failed: {reason}
  Training on the digits that come with scikit-learn (1,797 of 8x8 pixels) and drawn ones instead.
  The model will be worse: about 97 % of MNIST's test digits instead of 99.6 %.
  For the real thing, name the folder that holds its four files: MNIST_DIR=/path/to/mnist make demo
=================================================================================================="""
