"""Data sets that torchvision can download."""

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np

from contract.card import SIDE, DigitPreparation, Preparation, StretchPreparation
from training.idx import MNIST, Bytes, find
from training.listing import Listing, Part
from training.own import read_idx
from training.vision import torchvision

log = logging.getLogger("training")

TIMEOUT = 10.0  # seconds without a byte; a network that drops packets must not block a demo

_AS_DIGITS, _SCALED = DigitPreparation(), StretchPreparation(size=(SIDE, SIDE))
_DIGITS = tuple("0123456789")
_CHARACTERS = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
             "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
# Clothes are upright and have a size: distortions that suit handwriting make the model worse.
_CLOTHES = {"rotation": 0.0, "shear": 0.0, "scale": 0.05}

# MD5 of MNIST's uncompressed content.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@dataclass(frozen=True)
class Source:
    """A data set in four IDX files under data/<folder>/raw."""

    folder: str  # name of torchvision's class and of its folder
    labels: tuple[str, ...]
    images: int  # for training
    split: str = ""  # of EMNIST
    first_label: int = 0  # letters are counted from 1
    md5: Mapping[str, str] = field(default_factory=dict)  # see idx.read; empty: torchvision's
    recipe: Mapping[str, Any] = field(default_factory=dict)  # options that suit the data set
    preparation: Preparation = _AS_DIGITS  # of other images, so that they become like these

    def files(self) -> dict[str, int]:
        """The four names with their dimensions: training images and labels, then the test's."""
        if not self.split:
            return MNIST
        return {
            f"emnist-{self.split}-{part}-{kind}": dimensions
            for part in ("train", "test")
            for kind, dimensions in (("images-idx3-ubyte", 3), ("labels-idx1-ubyte", 1))
        }

    def is_in(self, folder: Path) -> bool:
        return all(find(folder, file) for file in self.files())

    def read(self, folder: Path) -> Listing:
        """All its images. Files with a known checksum are checked."""
        md5 = self.md5 or {
            Path(url).name: checksum for url, checksum in self._torchvision().resources
        }
        return read_idx(folder, self.files(), md5, self.labels, self._part)

    def download(self, root: Path) -> None:
        """Download with torchvision, which maintains mirrors and checksums; OSError on failure."""
        split = {"split": self.split} if self.split else {}
        with _network_timeout(TIMEOUT):
            try:
                self._torchvision()(str(root), download=True, **split)
            except (RuntimeError, HTTPException) as error:  # all mirrors failed, or no HTTP
                raise OSError(f"{type(error).__name__}: {error}") from error

    def _torchvision(self) -> Any:
        return getattr(torchvision().datasets, self.folder)

    def _part(self, pixels: Bytes, labels: Bytes) -> Part:
        """EMNIST's images are mirrored and rotated by 90 degrees."""
        if self.split:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 1))
        return pixels, labels - np.uint8(self.first_label)


SOURCES = {
    "mnist": Source("MNIST", _DIGITS, 60_000, md5=MNIST_MD5),
    "fashion-mnist": Source(
        "FashionMNIST", _GARMENTS, 60_000, recipe=_CLOTHES, preparation=_SCALED
    ),
    "kmnist": Source("KMNIST", _CHARACTERS, 60_000, preparation=_SCALED),
    "emnist-digits": Source("EMNIST", _DIGITS, 240_000, split="digits"),
    "emnist-letters": Source(
        "EMNIST",
        tuple(ascii_lowercase),
        124_800,
        split="letters",
        first_label=1,
        preparation=_SCALED,
    ),
}


def fetch(name: str, root: Path) -> Path:
    """The folder with the files of a data set, which are downloaded if necessary; else OSError."""
    source = SOURCES[name]
    folder = root / source.folder / "raw"
    if not source.is_in(folder):
        log.info("Downloading %s to %s", name, folder)
        source.download(root)
    return folder


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
