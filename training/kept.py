"""The pictures that a run keeps, in .npz files: pixels (n, 28, 28) uint8 and, but for some, labels.

Export reads them long after they were written, so a damaged file is found and named.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from training.checkpoint import BadRun
from training.files import replace

Pictures = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (n, 28, 28), labels (n,)


def save_arrays(path: Path, **arrays: NDArray[np.uint8]) -> None:
    def write(aside: Path) -> None:
        with aside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    replace(path, write)


def kept_pictures(path: Path) -> Pictures:
    """With their labels; BadRun if the file is damaged."""
    arrays = _arrays(path, "pixels", "labels")
    pixels, labels = arrays["pixels"], arrays["labels"]
    if len(labels) != len(pixels):
        raise BadRun(f"{path} holds {len(pixels)} pictures and {len(labels)} labels")
    return pixels, labels


def kept_pixels(path: Path) -> NDArray[np.uint8]:
    """Without; (n, 28, 28)."""
    return _arrays(path, "pixels")["pixels"]


def _arrays(path: Path, *names: str) -> dict[str, NDArray[np.uint8]]:
    """The named arrays of a file, the first of which are pictures."""
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in names}
    except Exception as error:  # a damaged zip raises nearly anything
        raise BadRun(f"{path} is missing or damaged: train again ({error!r})") from error
    pixels = arrays["pixels"]
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE) or len(pixels) == 0:
        raise BadRun(f"{path} holds {pixels.dtype} {pixels.shape}, not uint8 (n, 28, 28)")
    return arrays
