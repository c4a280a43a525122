"""A user's own images: a folder of image files for each class, or files of pixels.

    mine/train/<class>/*.png   mine/test/<class>/*.png     separate training and test parts
                               mine/valid/<class>/*.png    and validation images, if there are any
    mine/<class>/*.png                                     a sixth of each class is for testing
    mine/train-images-idx3-ubyte, ...                      MNIST's four names, plain or .gz;
         labels.txt                                        names of class 0, 1, ..., one per line
    mine/train.csv, or any FILE.csv                        Kaggle's: see `table`

This module finds the images and their labels; `reading` reads them. Folders within a class belong
to it. Classes are sorted by name, numbers by value: 2 before 10.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from contract.label import fault_of
from training import idx
from training.idx import MNIST, BadData, Bytes
from training.listing import Labels, Listing, Part, counted, label_type, some
from training.table import has_labels, read_table

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Names of the parts in any case, the first that exists.
TRAIN, VALIDATION = ("train", "training"), ("val", "valid", "validation")
TEST = ("test", "testing", *VALIDATION)
# What systems and archives leave in a folder; and all names that begin with a dot.
LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}
LABELS = "labels.txt"  # names of class 0, 1, ..., one per line
TABLES = ("train.csv", "test.csv")
CLASSES = 2**16  # at most: a label has two bytes
SHOWN = 40  # characters of a name that cannot be used

log = logging.getLogger("training")


def find_own(path: Path) -> Listing:
    """The images in a folder or file; BadData names what is wrong and the reason."""
    if path.is_file() and path.suffix.lower() == ".csv":
        return _find_table(path)
    if not path.is_dir():
        raise BadData(f"{path} is neither a folder nor a .csv file")
    if any(idx.find(path, file) for file in MNIST):
        return read_idx(path)
    if tables := _tables(path):
        return _find_table(*tables)
    return _find_files(path)


def find_test(path: Path, names: tuple[str, ...], *, foreign: bool = False) -> Listing:
    """The test part of `path`: `train` is 0.

    Without parts it is the share that a training would test on, since the network may have been
    trained on the others; all images if they cannot be training data: if `path` is called test, or
    if the network is `foreign`, not trained by this project. The classes are `names`, and some of
    them may have no images. BadData if there are others.
    """
    if path.is_dir() and any(idx.find(path, file) for file in MNIST):
        pixels, labels = idx.read(path, {name: MNIST[name] for name in [*MNIST][2:]}, {})
        own_names = _names(path, int(labels.max(initial=0)))
        if (path / LABELS).exists() and own_names != names:
            raise BadData(f"{path / LABELS} has other classes than {some(names)}")
        _check_idx(path, "t10k", (pixels, labels), names)
        return Listing(path, names, pixels, labels, 0)
    tables = [path] if path.is_file() else _tables(path)
    if tables:
        table = next((each for each in reversed(tables) if has_labels(each)), tables[0])
        return _held_out(_read_test_table(table, names), foreign=foreign)
    inside = {each.name.lower(): each for each in visible(path) if each.is_dir()}
    test = next((inside[name] for name in TEST if name in inside), None)
    path = test or _parts(path)[0]
    found = _classes(path, least=1)
    known = _among(path, found, names)
    files, labels = _files(path, found)
    return _held_out(Listing(path, names, files, known[labels], 0), foreign=foreign)


def _read_test_table(path: Path, names: tuple[str, ...]) -> Listing:
    found, pixels, labels = read_table(path)
    return Listing(path, names, pixels, _among(path, found, names)[labels], 0)


def _held_out(listing: Listing, *, foreign: bool) -> Listing:
    """Those images on which a training with the same folder or file would test."""
    is_test = listing.where.resolve().stem.lower() in TEST
    if foreign or is_test or np.bincount(listing.labels).max() == 1:  # one: nothing to train on
        return listing
    held_out = listing.divided().test_part()
    log.warning(
        "%s has no test part: evaluated on the sixth of each class on which a training with it "
        "tests, %s of %s images",
        listing.where, f"{len(held_out.labels):,}", f"{len(listing.labels):,}",
    )  # fmt: skip
    return held_out


def _among(path: Path, found: tuple[str, ...], names: tuple[str, ...]) -> Labels:
    """The labels of the classes `found` among `names`; BadData if one is not there."""
    if strangers := set(found) - set(names):
        raise BadData(
            f"{path} has images of unknown classes: {some(sorted(strangers))}; the known classes "
            f"are {some(names)}"
        )
    place = {name: label for label, name in enumerate(names)}
    return np.array([place[name] for name in found], label_type(len(names)))


# ---- IDX -------------------------------------------------------------------------------------


def read_idx(
    folder: Path,
    files: Mapping[str, int] = MNIST,
    md5: Mapping[str, str] | None = None,
    names: tuple[str, ...] = (),
    prepare: Callable[[Bytes, Bytes], Part] = lambda pixels, labels: (pixels, labels),
) -> Listing:
    """Four IDX files: training images and labels, test images and labels.

    `md5` is as in `idx.read`. Without `names`, the classes are named by labels.txt or by numbers.
    `prepare` makes a part of the arrays of two files. BadData names the file that is missing,
    damaged or does not fit the others.
    """
    arrays = idx.read(folder, files, md5 or {})
    train, test = prepare(*arrays[:2]), prepare(*arrays[2:])
    names = names or _names(folder, int(max(train[1].max(initial=0), test[1].max(initial=0))))
    for name, part in (("train", train), ("t10k", test)):
        _check_idx(folder, name, part, names)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise BadData(
            f"{folder}: train images are {train[0].shape[1:]} pixels, those of t10k "
            f"{test[0].shape[1:]}: they must have one size"
        )
    return Listing.of_parts(folder, names, train, test)


def _names(folder: Path, largest: int) -> tuple[str, ...]:
    """The names of the classes up to the `largest` label."""
    path = folder / LABELS
    if not path.exists():
        return tuple(str(label) for label in range(max(2, largest + 1)))
    try:
        names = tuple(name.strip() for name in path.read_text("utf-8-sig").rstrip().split("\n"))
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 text: {error}") from error
    if "" in names or len(set(names)) < len(names):
        raise BadData(f"{path} must hold a different name for each class, one per line")
    _check_names(path, names)
    if len(names) <= largest:
        raise BadData(
            f"{path} has {len(names)} lines, but the labels go up to {largest}: it must hold "
            f"{largest + 1} names, one per line"
        )
    return names


def _check_idx(folder: Path, name: str, part: Part, names: tuple[str, ...]) -> None:
    """A label for each image, of one of the classes."""
    pixels, labels = part
    if len(pixels) != len(labels):
        raise BadData(f"{folder}: {name} has {len(pixels)} images but {len(labels)} labels")
    if len(labels) == 0:
        raise BadData(f"{folder}: {name} has no images")
    if labels.max() >= len(names):
        raise BadData(
            f"{folder}: {name} has a label {labels.max()}, but the classes are 0 to "
            f"{len(names) - 1}"
        )


# ---- tables ----------------------------------------------------------------------------------


def _tables(folder: Path) -> list[Path]:
    """train.csv and test.csv, where they are instead of folders of images."""
    train, test = (folder / name for name in TABLES)
    if not train.is_file() or any(path.is_dir() for path in visible(folder)):
        return []
    return [train, test] if test.is_file() else [train]


def _find_table(path: Path, test: Path | None = None) -> Listing:
    names, pixels, labels = read_table(path)
    if len(names) < 2:
        raise BadData(f"{path} has images of one class, {names[0]}: add some of others")
    train = Listing(path, names, pixels, labels, len(labels))
    if test is None:
        return train.divided()
    if not has_labels(test):
        log.warning("%s has no labels: it is not used", test)
        return train.divided()
    found = _read_test_table(test, names)
    test_pixels = np.asarray(found.images)
    if test_pixels.shape[1:] != pixels.shape[1:]:
        raise BadData(f"{test} has images of another size than {path}")
    return Listing.of_parts(path, names, (pixels, labels), (test_pixels, found.labels))


# ---- image files -----------------------------------------------------------------------------


def _find_files(folder: Path) -> Listing:
    train, *others = _parts(folder)
    names = _classes(train)
    files, labels = _files(train, names)
    if not others:
        return Listing(train, names, files, labels, len(files)).divided()
    counts = []
    for part in others:
        if strangers := set(_classes(part, least=1)) - set(names):
            raise BadData(
                f"{part} has classes that {train.name} has not: {some(sorted(strangers))}. Put "
                f"training images of them into {train}, or remove or rename these folders"
            )
        more, of = _files(part, names, may_lack=True)
        files, labels = [*files, *more], np.concatenate([labels, of])
        counts.append(len(more))
    *validation, test = counts
    return Listing(folder, names, files, labels, len(files) - test, sum(validation))


def _parts(folder: Path) -> list[Path]:
    """The folders of the training, the validation and the test part, as far as there are any.

    Or only the folder itself, if it holds the classes.
    """
    inside = {path.name.lower(): path for path in visible(folder) if path.is_dir()}
    train, validation, test = (
        next((inside[name] for name in names if name in inside), None)
        for names in (TRAIN, VALIDATION, TEST)
    )
    if train is None or (test is None and len(inside) > 1):
        return [folder]  # a class may be called train
    _report_unused(folder, [path for path in visible(folder) if not path.is_dir()])
    parts = [train]
    if test is not None:
        parts += [test] if validation in (None, test) else [validation, test]
    unused = [path.name for path in inside.values() if path not in parts]
    if unused:
        log.warning(
            "%s: not used: %s. Training images are those in %s, test images those in %s.",
            folder, ", ".join(sorted(unused)), parts[0].name, parts[-1].name,
        )  # fmt: skip
    return parts


def visible(folder: Path) -> list[Path]:
    """What is in a folder, without what systems and archives leave there."""
    return [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in LEFT_BY_SYSTEMS
    ]


def _classes(folder: Path, least: int = 2) -> tuple[str, ...]:
    inside = visible(folder)
    names = [path.name for path in inside if path.is_dir()]
    if not least <= len(names) <= CLASSES:
        raise BadData(
            f"{folder} must hold a folder of images for each class, {least} to {CLASSES:,}, "
            f"or MNIST's four files ({', '.join(MNIST)}), or {TABLES[0]}; it has {len(names):,} "
            "folders"
        )
    _check_names(folder, names)
    _report_unused(folder, [path for path in inside if path.name not in names])
    return tuple(sorted(names, key=_as_counted))


def _check_names(where: Path, names: Iterable[str]) -> None:
    """A model card can hold them: before the training, not after it."""
    for name in names:
        if fault := fault_of(name):
            raise BadData(f"{where}: the name of a class {fault}: {name[:SHOWN]!r}; rename it")


def _report_unused(folder: Path, files: list[Path]) -> None:
    """Name the `files` of a folder of classes, which belong to none of them."""
    images = sorted(path.name for path in files if path.suffix.lower() in SUFFIXES)
    others = sorted({path.name for path in files} - set(images))
    named = [
        f"{counted(len(names), noun)} beside the folders of the classes: {some(names)}"
        for names, noun in ((images, "image"), (others, "other file"))
        if names
    ]
    if named:
        log.warning("%s: not used: %s", folder, "; ".join(named))


def _as_counted(name: str) -> tuple[list[str | int], str]:
    """2 before 10, a before B."""
    parts = re.split(r"([0-9]+)", name.casefold())  # text and numbers in turn
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], name


def _files(
    folder: Path, names: tuple[str, ...], *, may_lack: bool = False
) -> tuple[list[Path], Labels]:
    """The image files of all classes with their labels, in order.

    BadData if a class has none, unless it `may_lack` images.
    """
    files: list[Path] = []
    counts = []
    for name in names:
        images = images_in(folder / name) if (folder / name).is_dir() else []
        if not (images or may_lack):
            raise BadData(f"{folder / name} holds no image: {', '.join(sorted(SUFFIXES))}")
        files += images
        counts.append(len(images))
    return files, np.repeat(np.arange(len(names), dtype=label_type(len(names))), counts)


def images_in(folder: Path) -> list[Path]:
    """The image files of a class, also those in folders within it."""
    images: list[Path] = []
    others: list[Path] = []
    for path in sorted(visible(folder)):
        if path.is_dir() and not path.is_symlink():  # a link may lead back here
            images += images_in(path)
        else:
            (images if path.suffix.lower() in SUFFIXES else others).append(path)
    if others:
        log.warning(
            "%s: left out %s that %s no images: %s",
            folder, counted(len(others), "file"), "is" if len(others) == 1 else "are",
            some(path.name for path in others),
        )  # fmt: skip
    return images
