"""The digits whose shapes are drawn anew: MNIST's test set, or the sheet of the current version."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtest.client.requests import Pictures
from loadtest.errors import CannotMeasure

Shapes = tuple[NDArray[np.uint8], list[str]]  # pixels (n, 28, 28), 255 = ink, and what they are

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
HEADER = {IMAGES: 16, LABELS: 8}  # bytes before the content


def shapes(mnist: Path | None, models: Path, name: str) -> Shapes:
    """Of `mnist`, a folder with MNIST's files; without one, of the current version's samples."""
    if mnist is None:
        pictures = Pictures.of_current(models, name)
        return pictures.pixels, pictures.labels
    pixels = _content(mnist, IMAGES).reshape(-1, 28, 28)
    return pixels, [str(label) for label in _content(mnist, LABELS)]


def _content(folder: Path, name: str) -> NDArray[np.uint8]:
    try:
        packed = folder / f"{name}.gz"
        raw = gzip.decompress(packed.read_bytes()) if packed.exists() else None
        raw = (folder / name).read_bytes() if raw is None else raw
        return np.frombuffer(raw, np.uint8, offset=HEADER[name])
    except (OSError, EOFError, ValueError) as error:
        raise CannotMeasure(f"no test digits in MNIST_DIR={folder}: {error}") from error
