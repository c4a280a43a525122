"""The images of a data set before they are read: files or arrays, with labels and parts."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from training.idx import BadData
from training.reading import Images

Labels = NDArray[np.unsignedinteger[Any]]  # (n,) uint8, or uint16 for more than 256 classes
Part = tuple[NDArray[np.uint8], Labels]  # pixels (n, h, w) or (n, h, w, 3), labels (n,)

TEST_SHARE = 6  # one image in so many, about as in MNIST

log = logging.getLogger("training")


class Parts(NamedTuple):
    """The parts of a data set that was read."""

    train: Part
    test: Part
    validation: int  # how many of the last ones in `train` are validation images


@dataclass(frozen=True)
class Listing:
    """The images of a data set, before they are read: first those for training, then the test's."""

    where: Path
    names: tuple[str, ...]  # of class 0, 1, ...
    images: Images
    labels: Labels  # (images,)
    train: int  # number of images for training
    validation: int = 0  # how many of the last ones of these are the user's validation images

    @classmethod
    def of_parts(cls, where: Path, names: tuple[str, ...], train: Part, test: Part) -> Self:
        """Two parts of gray pixels (n, h, w)."""
        images, labels = (np.concatenate(both) for both in zip(train, test, strict=True))
        return cls(where, names, images, labels, len(train[1]))

    def divided(self) -> Self:
        """A sixth of the images of a class for testing, or one of 2 to 5.

        They are those with the lowest hashes, so that hardly any image changes sides when others
        are added: a model would be tested on images that an earlier one was trained on.
        """
        count = np.bincount(self.labels)[self.labels]
        by_hash = np.lexsort((self._hashes(), self.labels))
        place = np.empty(len(by_hash), np.intp)
        place[by_hash] = _place_in_class(self.labels[by_hash])
        is_test = place < np.where(count > 1, np.maximum(1, count // TEST_SHARE), 0)
        if not is_test.any():
            raise BadData(
                f"{self.where}: each class has one image, and one to train and one to test are "
                "needed"
            )
        order = np.argsort(is_test, kind="stable")
        return self._chosen(order, int((~is_test).sum()))

    def _hashes(self) -> NDArray[np.uint64]:
        """One of each image: of the name of its file, or of its pixels in an array."""
        contents = (
            (image.tobytes() for image in self.images)
            if isinstance(self.images, np.ndarray)
            else (path.relative_to(self.where).as_posix().encode() for path in self.images)
        )
        hashes = b"".join(blake2b(content, digest_size=8).digest() for content in contents)
        return np.frombuffer(hashes, np.uint64)

    def test_part(self) -> Self:
        """Only the test images, as a listing without training images."""
        return self._chosen(np.arange(self.train, len(self.labels)), 0)

    def limited(self, most: int | None) -> Self:
        """The first `most` training images of each class, and a sixth as many of the others."""
        if most is None:
            return self
        few, begin = max(1, most // TEST_SHARE), self.train - self.validation
        train = np.flatnonzero(_place_in_class(self.labels[:begin]) < most)
        validation, test = (
            at + np.flatnonzero(_place_in_class(self.labels[at:end]) < few)
            for at, end in ((begin, self.train), (self.train, None))
        )
        log.info(
            "%s: only the first %s training images of each class are used, and %s for testing: "
            "%s of %s and %s of %s images",
            self.where, f"{most:,}", f"{few:,}", f"{len(train):,}", f"{begin:,}",
            f"{len(test):,}", f"{len(self.labels) - self.train:,}",
        )  # fmt: skip
        chosen = self._chosen(
            np.concatenate([train, validation, test]), len(train) + len(validation)
        )
        return replace(chosen, validation=len(validation))

    def _chosen(self, order: NDArray[np.intp], train: int) -> Self:
        images = (
            self.images[order]
            if isinstance(self.images, np.ndarray)
            else [self.images[place] for place in order]
        )
        return type(self)(self.where, self.names, images, self.labels[order], train)

    def parts(self, pixels: NDArray[np.uint8], usable: NDArray[np.bool_]) -> Parts:
        """The parts of the `pixels` that were read; BadData if a class has no training image."""
        labels, train = self.labels[usable], int(usable[: self.train].sum())
        validation = int(usable[self.train - self.validation : self.train].sum())
        for name, part in (("train", labels[: train - validation]), ("test", labels[train:])):
            if self.train or name == "test":
                self._check_classes(name, part)
        return Parts((pixels[:train], labels[:train]), (pixels[train:], labels[train:]), validation)

    def _check_classes(self, name: str, labels: Labels) -> None:
        if len(labels) == 0:
            raise BadData(f"{self.where}: {name} has no images")
        absent = np.flatnonzero(np.bincount(labels, minlength=len(self.names)) == 0)
        names = some(self.names[place] for place in absent)
        if len(absent) and name == "train":
            raise BadData(f"{self.where}: there is no training image of class {names}")
        if len(absent) and self.train:
            log.warning("%s: there is no test image of class %s", self.where, names)


def _place_in_class(labels: Labels) -> NDArray[np.intp]:
    """The place of each image among those of its class, from 0."""
    order = np.argsort(labels, kind="stable")
    place = np.empty(len(labels), np.intp)
    place[order] = np.arange(len(labels)) - np.searchsorted(labels[order], labels[order])
    return place


def counted(number: int, noun: str) -> str:
    """A number with a regular noun: "1 file", "2,000 files"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(names: Iterable[str], most: int = 5) -> str:
    """The first of some names."""
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def label_type(classes: int) -> type[np.unsignedinteger[Any]]:
    """The type of the labels of so many classes."""
    return np.uint8 if classes <= 2**8 else np.uint16
