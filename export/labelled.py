"""Reads labelled images, on which an imported model is measured: a folder for each class.

    folder/<label>/*.jpg --decoded, prepared as in the service--> pixels and labels

Folders within a class belong to it. Hidden files are ignored.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from export.original import BadModel
from export.runners import Labels, Pixels
from preprocessing.decoder import NotAPicture, TooManyPixels
from preprocessing.digits.normalize import Blank
from preprocessing.preparation import Preparer

MAX_PIXELS = 10**8  # of a file
MOST_BYTES = 2**30  # of all pixels; of a larger folder every second, third, ... image is read
UNUSABLE = 100  # one file in so many may be unreadable, and is left out


def read_labelled(folder: Path, labels: Sequence[str], prepare: Preparer) -> tuple[Pixels, Labels]:
    """Pixels (n, h, w[, 3]) and labels (n,), in an order that mixes the classes.

    BadModel if the folder has other classes than `labels`, or files that cannot be read.
    """
    files = _files(folder, labels)
    most = max(1, MOST_BYTES // int(np.prod(prepare.shape)))
    if len(files) > most:
        _log(f"{folder}: every {-(-len(files) // most)}. of {len(files):,} images is read")
        files = files[:: -(-len(files) // most)]
    with ThreadPoolExecutor() as pool:
        read = [*pool.map(lambda file: _read(file[0], prepare), files)]
    unusable = [each for each in read if isinstance(each, str)]
    if len(unusable) * UNUSABLE > len(files):
        raise BadModel(
            f"{unusable[0]}; {len(unusable)} of {len(files)} images of {folder} cannot be used, "
            f"and only one in {UNUSABLE} may be left out"
        )
    for reason in unusable:
        _log(f"left out: {reason}")
    usable = [
        (pixels, label)
        for pixels, (_, label) in zip(read, files, strict=True)
        if not isinstance(pixels, str)
    ]
    order = np.random.default_rng(0).permutation(len(usable))
    pixels = np.stack([usable[index][0] for index in order])
    return pixels, np.array([usable[index][1] for index in order], np.int64)


def _files(folder: Path, labels: Sequence[str]) -> list[tuple[Path, int]]:
    """All images with their labels, class by class."""
    if not folder.is_dir():
        raise BadModel(f"{folder} is not a folder of images: it must hold a folder for each class")
    classes = {path.name: path for path in folder.iterdir() if _is_visible(path) and path.is_dir()}
    if strangers := sorted(classes.keys() - {*labels}):
        some = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        raise BadModel(f"{folder} has folders that are not among the labels: {some}")
    files = [
        (path, label)
        for label, name in enumerate(labels)
        if name in classes
        for path in sorted(classes[name].rglob("*"))
        if path.is_file() and all(map(_is_visible, (path, path.parent)))
    ]
    if not files:
        raise BadModel(f"{folder} has no images: it must hold a folder for each class")
    return files


def _is_visible(path: Path) -> bool:
    return not path.name.startswith(".") and path.name.lower() not in ("thumbs.db", "desktop.ini")


def _read(path: Path, prepare: Preparer) -> Pixels | str:
    """The pixels, or why there are none."""
    try:
        return prepare.file(path.read_bytes(), max_pixels=MAX_PIXELS)
    except (NotAPicture, TooManyPixels, Blank) as error:
        return f"{path} cannot be read: {error}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"


def _log(line: str) -> None:
    print(line, file=sys.stderr)
