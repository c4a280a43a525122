"""A cache of prepared images, so that the next training need not decode the same files again.

    data/cache/<key>.npz      one for each data set and preparation

The key depends on name and content of every file, on the preparation, and on the code and the
libraries that decode and prepare. A damaged file is ignored: zip archives have checksums.
"""

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray

import preprocessing
from preprocessing.preparation import Preparer

MOST = 5  # files
MOST_BYTES = 4 * 2**30  # of all files together

log = logging.getLogger("training")


def key_of(folder: Path, files: Sequence[Path], prepare: Preparer) -> str:
    """Of the files of a folder, in their order, with a preparation."""
    digest = sha256(f"{prepare.preparation!r} {prepare.shape} {_code()}".encode())
    for path in files:
        content = path.read_bytes()  # archives give all of their files one time
        digest.update(os.fsencode(path.relative_to(folder)))
        digest.update(f"\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def load(folder: Path, key: str, shape: tuple[int, ...]) -> dict[str, NDArray[Any]] | None:
    """What `store` wrote; None if there is nothing, or if its pixels are not (n, *shape)."""
    path = folder / f"{key}.npz"
    if not path.exists():
        return None
    try:
        with np.load(path) as file:
            arrays = dict(file)
        pixels, usable = arrays["pixels"], arrays["usable"]
        if pixels.dtype != np.uint8 or pixels.shape != (usable.sum(), *shape):
            raise ValueError(f"it holds {pixels.dtype} {pixels.shape}")
        os.utime(path)  # the least recently used one is removed first
    except Exception as error:  # a damaged zip raises nearly any exception
        log.warning("%s is damaged, and all images are read again (%r)", path, error)
        return None
    return arrays


def store(folder: Path, key: str, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a whole, and remove the files that were not used for the longest time."""
    path = folder / f"{key}.npz"
    if arrays["pixels"].nbytes > MOST_BYTES:
        log.info(
            "%s: the images are not kept for the next training: they take more than %.0f GB",
            folder, MOST_BYTES / 2**30,
        )  # fmt: skip
        return
    draft = folder / f".{key}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _remove_old(folder)
    except OSError as error:
        log.warning("%s: the images are not kept for the next training: %s", folder, error)


def _remove_old(folder: Path) -> None:
    paths = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    total = 0
    for place, path in enumerate(paths):
        total += path.stat().st_size
        if place >= MOST or (place > 0 and total > MOST_BYTES):
            path.unlink(missing_ok=True)


@cache
def _code() -> str:
    """A hash of what decodes and prepares images."""
    digest = sha256(f"{PIL.__version__} {cv2.__version__} {np.__version__}".encode())
    here = Path(__file__)
    sources = sorted(Path(preprocessing.__path__[0]).rglob("*.py"))
    for source in (*sources, here, here.with_name("image.py"), here.with_name("reading.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
