"""A user's own images: a folder of image files for each class, or IDX files shaped like MNIST's.

    mine/train/<class>/*.png   mine/test/<class>/*.png     separate training and test parts
    mine/<class>/*.png                                     every sixth image is a test image
    mine/train-images-idx3-ubyte, ...                      MNIST's four names, plain or .gz;
         labels.txt                                        names of class 0, 1, ..., one per line

Image files may have any size: they are prepared in the same way as in the service.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from training import idx
from training.idx import MNIST, BadData, Bytes
from training.image import BadImage, as_pixels

Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (n, 28, 28), labels (n,)
Parts = tuple[tuple[str, ...], Part, Part]  # names of the classes, training part, test part

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
LABELS = "labels.txt"  # names of class 0, 1, ..., one per line
TEST_SHARE = 6  # every sixth image, as in MNIST
CLASSES = 256  # at most: a label is a byte

log = logging.getLogger("training")


def read_own(folder: Path) -> Parts:
    """Class names, training part and test part; BadData names the wrong file and the reason."""
    if not folder.is_dir():
        raise BadData(f"{folder} is not a folder")
    if any(idx.find(folder, file) for file in MNIST):
        return read_idx(folder)
    return _read_images(folder)


def read_test(folder: Path, names: tuple[str, ...]) -> Part:
    """The test part of `folder`, or all of its images if it has no parts."""
    if any(idx.find(folder, file) for file in MNIST):
        pixels, labels = idx.read(folder, {name: MNIST[name] for name in [*MNIST][2:]}, {})
        own_names = _names(folder, int(labels.max(initial=0)))
        if (folder / LABELS).exists() and own_names != names:
            raise BadData(f"{folder / LABELS} has other classes than {', '.join(names)}")
        _check_part(folder, "t10k", (pixels, labels), names)
        return pixels, labels
    if (folder / "test").is_dir():
        folder = folder / "test"
    found = _classes(folder, least=1)
    if strangers := set(found) - set(names):
        raise BadData(
            f"{folder} has images of unknown classes: {', '.join(sorted(strangers))}; the known "
            f"classes are {', '.join(names)}"
        )
    pixels, labels = _read_part(folder, found)
    return pixels, np.array([names.index(name) for name in found], np.uint8)[labels]


# ---- IDX -------------------------------------------------------------------------------------


def read_idx(
    folder: Path,
    files: Mapping[str, int] = MNIST,
    md5: Mapping[str, str] | None = None,
    names: tuple[str, ...] = (),
    prepare: Callable[[Bytes, Bytes], Part] = lambda pixels, labels: (pixels, labels),
) -> Parts:
    """Four IDX files: training images and labels, test images and labels.

    `md5` is as in `idx.read`. Without `names`, the classes are named by labels.txt or by numbers.
    `prepare` makes a part of the arrays of two files. BadData names the file that is missing,
    damaged or does not fit the others.
    """
    arrays = idx.read(folder, files, md5 or {})
    train, test = prepare(*arrays[:2]), prepare(*arrays[2:])
    names = names or _names(folder, int(max(train[1].max(initial=0), test[1].max(initial=0))))
    return _checked(folder, (names, train, test), "t10k")


def _names(folder: Path, largest: int) -> tuple[str, ...]:
    path = folder / LABELS
    if not path.exists():
        return tuple(str(label) for label in range(max(10, largest + 1)))
    try:
        names = tuple(name.strip() for name in path.read_text("utf-8").rstrip().split("\n"))
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 text: {error}") from error
    if "" in names or len(set(names)) < len(names):
        raise BadData(f"{path} must hold a different name for each class, one per line")
    return names


def _checked(folder: Path, parts: Parts, test: str = "test") -> Parts:
    names, *both = parts
    for name, part in zip(("train", test), both, strict=True):
        _check_part(folder, name, part, names)
    return parts


def _check_part(folder: Path, name: str, part: Part, names: tuple[str, ...]) -> None:
    """Images of the right size, a label for each, and images of every class."""
    pixels, labels = part
    if pixels.shape[1:] != (SIDE, SIDE):
        raise BadData(f"{folder}: {name} images are {pixels.shape[1:]} pixels, not (28, 28)")
    if len(pixels) != len(labels):
        raise BadData(f"{folder}: {name} has {len(pixels)} images but {len(labels)} labels")
    if len(labels) == 0:
        raise BadData(f"{folder}: {name} has no images")
    if labels.max() >= len(names):
        raise BadData(
            f"{folder}: {name} has a label {labels.max()}, but the classes are 0 to "
            f"{len(names) - 1}"
        )
    absent = [names[k] for k in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)]
    if absent and name == "train":
        raise BadData(f"{folder}: there is no training image of class {', '.join(absent)}")
    if absent:
        log.warning("%s: there is no test image of class %s", folder, ", ".join(absent))


# ---- image files -----------------------------------------------------------------------------


def _read_images(folder: Path) -> Parts:
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        names = _classes(folder / "train")
        strangers = set(_classes(folder / "test", least=1)) - set(names)
        if strangers:
            raise BadData(
                f"{folder}/test has classes that train has not: {', '.join(sorted(strangers))}"
            )
        train, test = (_read_part(folder / part, names) for part in ("train", "test"))
    else:
        names = _classes(folder)
        pixels, labels = _read_part(folder, names)
        first = np.searchsorted(labels, labels)  # of each image's class; labels are sorted
        is_test = (np.arange(len(labels)) - first) % TEST_SHARE == TEST_SHARE - 1
        if not is_test.any():
            raise BadData(
                f"{folder}: every {TEST_SHARE}th image of a class is a test image, and no class "
                "has that many; create the folders train and test"
            )
        train, test = (pixels[~is_test], labels[~is_test]), (pixels[is_test], labels[is_test])
    return _checked(folder, (names, train, test))


def _classes(folder: Path, least: int = 2) -> tuple[str, ...]:
    folders = (path for path in folder.iterdir() if path.is_dir())
    names = tuple(sorted(path.name for path in folders if not path.name.startswith(".")))
    if not least <= len(names) <= CLASSES:
        raise BadData(
            f"{folder} must hold a folder of images for each class, {least} to {CLASSES}, "
            f"or MNIST's four files ({', '.join(MNIST)}); it has {len(names)} folders"
        )
    return names


def _read_part(folder: Path, names: tuple[str, ...]) -> Part:
    pixels, labels = [], []
    for label, name in enumerate(names):
        paths = (folder / name).iterdir() if (folder / name).is_dir() else ()
        files = sorted(path for path in paths if path.suffix.lower() in SUFFIXES)
        if not files:
            raise BadData(f"{folder / name} holds no image: {', '.join(sorted(SUFFIXES))}")
        for path in files:
            try:
                pixels.append(as_pixels(path))
            except BadImage as error:
                text = str(error)
                raise BadData(text if str(path) in text else f"{path}: {text}") from error
            labels.append(label)
    return np.stack(pixels), np.array(labels, np.uint8)
