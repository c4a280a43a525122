"""Data sets that torchvision knows how to download."""

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

from training import idx
from training.own import FILES, Part, check_part
from training.vision import torchvision

log = logging.getLogger("training")

PATIENCE = 10.0  # seconds without a byte; a network that swallows packets must not hang a demo

# Clothes have an upright and a size; what bends handwriting makes them worse.
_CLOTHES = {"rotation": 0.0, "shear": 0.0, "scale": 0.05}
_CHARACTERS = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
             "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A data set in four IDX files under data/<folder>/raw."""

    folder: str  # torchvision's class and its folder
    labels: tuple[str, ...]
    pictures: int  # to learn from
    split: str = ""  # of EMNIST
    first_label: int = 0  # letters are counted from 1
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def files(self) -> list[tuple[str, int]]:
        """The four names with their dimensions: training pictures and labels, then the test's."""
        if not self.split:
            return list(FILES.items())
        return [
            (f"emnist-{self.split}-{part}-{kind}", dimensions)
            for part in ("train", "test")
            for kind, dimensions in (("images-idx3-ubyte", 3), ("labels-idx1-ubyte", 1))
        ]

    def is_in(self, folder: Path) -> bool:
        return all(idx.find(folder, file) for file, _ in self.files())

    def read(self, folder: Path) -> tuple[tuple[str, ...], Part, Part]:
        """Labels, training and test part; a .gz is checked by the MD5 that torchvision knows."""
        known = {Path(url).name: md5 for url, md5 in self._torchvision().resources}
        arrays = []
        for file, dimensions in self.files():
            path = idx.find(folder, file, packed_first=True)
            assert path is not None  # fetch has looked
            idx.check(path, known.get(path.name))
            arrays.append(idx.read(path, dimensions=dimensions))
        train, test = (self._upright(*arrays[at : at + 2]) for at in (0, 2))
        check_part(folder, "train", train, self.labels)
        check_part(folder, "test", test, self.labels)
        return self.labels, train, test

    def download(self, root: Path) -> None:
        """With torchvision, which keeps mirrors and checksums up to date; OSError if it fails."""
        split = {"split": self.split} if self.split else {}
        with _network_timeout(PATIENCE):
            try:
                self._torchvision()(str(root), download=True, **split)
            except (RuntimeError, HTTPException) as error:  # every mirror failed, or spoke no HTTP
                raise OSError(f"{type(error).__name__}: {error}") from error

    def _torchvision(self) -> Any:
        return getattr(torchvision().datasets, self.folder)

    def _upright(self, pixels: idx.Bytes, labels: idx.Bytes) -> Part:
        """EMNIST's pictures lie on their side, mirrored."""
        if self.split:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 1))
        return pixels, labels - np.uint8(self.first_label)


SOURCES = {
    "mnist": Source("MNIST", tuple("0123456789"), 60_000),
    "fashion-mnist": Source("FashionMNIST", _GARMENTS, 60_000, recipe=_CLOTHES),
    "kmnist": Source("KMNIST", _CHARACTERS, 60_000),
    "emnist-digits": Source("EMNIST", tuple("0123456789"), 240_000, split="digits"),
    "emnist-letters": Source(
        "EMNIST", tuple(ascii_lowercase), 124_800, split="letters", first_label=1
    ),
}


def fetch(name: str, root: Path) -> Path:
    """The folder that holds the set's files, downloaded if they are not there.

    OSError when they cannot be had.
    """
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
