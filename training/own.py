"""A user's own images: a folder of image files for each class, or IDX files shaped like MNIST's.

    mine/train/<class>/*.png   mine/test/<class>/*.png     separate training and test parts
    mine/<class>/*.png                                     every sixth image is a test image
    mine/train-images-idx3-ubyte, ...                      MNIST's four names, plain or .gz;
         labels.txt                                        names of class 0, 1, ..., one per line

Image files may have any size: they are prepared in the same way as in the service. Folders within a
class belong to it. Classes are in the order in which people count: 2 before 10.
"""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from training import idx
from training.idx import MNIST, BadData, Bytes
from training.image import BadImage, read_file

Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (n, 28, 28), labels (n,)
Parts = tuple[tuple[str, ...], Part, Part]  # names of the classes, training part, test part

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Names of the parts in any case, the first that exists.
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
# What systems and archives leave in a folder; and all names that begin with a dot.
LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}
UNUSABLE = 100  # one image in so many may be blank or unreadable, and is left out
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
    parts = _parts(folder)
    if len(parts) == 2:
        names = _classes(parts[0])
        strangers = set(_classes(parts[1], least=1)) - set(names)
        if strangers:
            raise BadData(
                f"{parts[1]} has classes that {parts[0].name} has not: "
                f"{', '.join(sorted(strangers))}"
            )
        train, test = (_read_part(part, names) for part in parts)
    else:
        (whole,) = parts
        names = _classes(whole)
        pixels, labels = _read_part(whole, names)
        is_test = _every_sixth(labels)
        if not is_test.any():
            raise BadData(
                f"{folder}: each class has one image, and one to train and one to test are needed"
            )
        train, test = (pixels[~is_test], labels[~is_test]), (pixels[is_test], labels[is_test])
    return _checked(folder, (names, train, test))


def _every_sixth(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images are for testing: every sixth of a class, or the last of 2 to 5."""
    place = np.arange(len(labels)) - np.searchsorted(labels, labels)  # in its class, from 0
    count = np.bincount(labels)[labels]  # of its class
    last_of_few = (count > 1) & (count < TEST_SHARE) & (place == count - 1)
    found: NDArray[np.bool_] = (place % TEST_SHARE == TEST_SHARE - 1) | last_of_few
    return found


def _parts(folder: Path) -> list[Path]:
    """The folders of the training and the test part, or the one folder that holds all classes."""
    inside = {path.name.lower(): path for path in _visible(folder) if path.is_dir()}
    train, test = (
        next((inside[name] for name in names if name in inside), None) for names in (TRAIN, TEST)
    )
    if train is None or (test is None and len(inside) > 1):
        return [folder]  # a class may be called train
    parts = [train] if test is None else [train, test]
    unused = [path.name for path in inside.values() if path not in parts]
    if unused:
        log.warning("%s: not used: %s", folder, ", ".join(sorted(unused)))
    return parts


def _visible(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in LEFT_BY_SYSTEMS
    ]


def _classes(folder: Path, least: int = 2) -> tuple[str, ...]:
    names = [path.name for path in _visible(folder) if path.is_dir()]
    if not least <= len(names) <= CLASSES:
        raise BadData(
            f"{folder} must hold a folder of images for each class, {least} to {CLASSES}, "
            f"or MNIST's four files ({', '.join(MNIST)}); it has {len(names)} folders"
        )
    return tuple(sorted(names, key=_as_counted))


def _as_counted(name: str) -> tuple[list[str | int], str]:
    """2 before 10, a before B."""
    parts = re.split(r"([0-9]+)", name.casefold())  # text and numbers in turn
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], name


def _read_part(folder: Path, names: tuple[str, ...]) -> Part:
    files: list[tuple[Path, int]] = []  # and their labels
    for label, name in enumerate(names):
        images = _images(folder / name) if (folder / name).is_dir() else []
        if not images:
            raise BadData(f"{folder / name} holds no image: {', '.join(sorted(SUFFIXES))}")
        files += [(path, label) for path in images]
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    unusable: list[str] = []
    coloured = 0
    for path, label in files:
        try:
            image, has_colours = read_file(path)
        except BadImage as error:
            unusable.append(str(error) if str(path) in str(error) else f"{path}: {error}")
            if len(unusable) > len(files) // UNUSABLE:
                raise BadData(
                    f"{unusable[0]}; {len(unusable)} of the first {len(labels) + len(unusable)} "
                    f"images of {folder} cannot be used, and only one in {UNUSABLE} may be left out"
                ) from error
            continue
        pixels.append(image)
        labels.append(label)
        coloured += has_colours
    if unusable:
        log.warning(
            "%s: left out %d of %d images:\n  %s",
            folder, len(unusable), len(files), "\n  ".join(unusable),
        )  # fmt: skip
    if coloured:
        log.warning(
            "%s: %s of %s images have colours, which are discarded: the network reads gray images "
            "of %d x %d. Classes that differ in their colours alone cannot be told apart.",
            folder, f"{coloured:,}", f"{len(labels):,}", SIDE, SIDE,
        )  # fmt: skip
    return np.stack(pixels), np.array(labels, np.uint8)


def _images(folder: Path) -> list[Path]:
    """The image files of a class, also those in folders within it."""
    images: list[Path] = []
    others: list[Path] = []
    for path in sorted(_visible(folder)):
        if path.is_dir() and not path.is_symlink():  # a link may lead back here
            images += _images(path)
        else:
            (images if path.suffix.lower() in SUFFIXES else others).append(path)
    if others:
        some = ", ".join(path.name for path in others[:5]) + (", ..." if len(others) > 5 else "")
        log.warning("%s: left out %d files that are no images: %s", folder, len(others), some)
    return images
