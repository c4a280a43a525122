"""A user's own pictures: a folder of picture files a class, or IDX files shaped like MNIST's.

    mine/train/<class>/*.png   mine/test/<class>/*.png     parts of one's own
    mine/<class>/*.png                                     every sixth picture becomes the test
    mine/train-images-idx3-ubyte, ...                      MNIST's four names, plain or .gz;
         labels.txt                                        names of class 0, 1, ..., one a line

Picture files may be of any size: each is prepared as the service prepares what it is sent.
"""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from training import idx
from training.idx import BadData
from training.picture import BadPicture, as_pixels

Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (n, 28, 28), labels (n,)

FILES = {  # of MNIST and all that is shaped like it: dimensions
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
LABELS = "labels.txt"  # names of class 0, 1, ..., one a line
TEST_SHARE = 6  # every sixth picture, as in MNIST
CLASSES = 256  # at most: a label is a byte

log = logging.getLogger("training")


def read_own(folder: Path) -> tuple[tuple[str, ...], Part, Part]:
    """Names of the classes, training part and test part; BadData names what is wrong where."""
    if not folder.is_dir():
        raise BadData(f"{folder} is not a folder")
    if any(idx.find(folder, file) for file in FILES):
        return read_idx(folder)
    return _read_pictures(folder)


def read_test(folder: Path, names: tuple[str, ...]) -> Part:
    """What `folder` has to judge by: its test part, or all its pictures if it has no parts."""
    if any(idx.find(folder, file) for file in FILES):
        part = _read_files(folder, list(FILES)[2:])
        own_names = _names(folder, int(part[1].max(initial=0)))
        if (folder / LABELS).exists() and own_names != names:
            raise BadData(f"{folder / LABELS} has other classes than {', '.join(names)}")
        check_part(folder, "t10k", part, names)
        return part
    if (folder / "test").is_dir():
        folder = folder / "test"
    found = _classes(folder, least=1)
    if strangers := set(found) - set(names):
        raise BadData(
            f"{folder} has pictures of {', '.join(sorted(strangers))}; known are {', '.join(names)}"
        )
    pixels, labels = _read_part(folder, found)
    return pixels, np.array([names.index(name) for name in found], np.uint8)[labels]


# ---- IDX -------------------------------------------------------------------------------------


def read_idx(
    folder: Path, md5: dict[str, str] | None = None, names: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], Part, Part]:
    """MNIST's four files in `folder`, with the checksums of `md5` where it has them.

    `names` of the classes, where they are known; else those of labels.txt or numbers. BadData names
    the file that is missing, damaged or does not fit the others.
    """
    train, test = (_read_files(folder, list(FILES)[at : at + 2], md5) for at in (0, 2))
    names = names or _names(folder, int(max(train[1].max(initial=0), test[1].max(initial=0))))
    check_part(folder, "train", train, names)
    check_part(folder, "t10k", test, names)
    return names, train, test


def _read_files(folder: Path, files: list[str], md5: dict[str, str] | None = None) -> Part:
    """The pictures and the labels of one part."""
    arrays = []
    for file in files:
        path = idx.find(folder, file)
        if path is None:
            raise BadData(f"{folder} has no {file} or {file}.gz. It must hold: {', '.join(FILES)}")
        arrays.append(idx.read(path, dimensions=FILES[file], md5=(md5 or {}).get(file)))
    return arrays[0], arrays[1]


def _names(folder: Path, largest: int) -> tuple[str, ...]:
    path = folder / LABELS
    if not path.exists():
        return tuple(str(label) for label in range(max(10, largest + 1)))
    try:
        names = tuple(name.strip() for name in path.read_text("utf-8").rstrip().split("\n"))
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is no UTF-8 text: {error}") from error
    if "" in names or len(set(names)) < len(names):
        raise BadData(f"{path} must hold a name of its own for each class, one a line")
    return names


def check_part(folder: Path, name: str, part: Part, names: tuple[str, ...]) -> None:
    """Pictures of the right size, a label for each, and pictures of every class."""
    pixels, labels = part
    if pixels.shape[1:] != (SIDE, SIDE):
        raise BadData(f"{folder}: {name} pictures are {pixels.shape[1:]} pixels, not (28, 28)")
    if len(pixels) != len(labels):
        raise BadData(f"{folder}: {name} has {len(pixels)} pictures but {len(labels)} labels")
    if len(labels) == 0:
        raise BadData(f"{folder}: {name} has no pictures")
    if labels.max() >= len(names):
        raise BadData(
            f"{folder}: {name} has a label {labels.max()}, but the classes are 0 to "
            f"{len(names) - 1}"
        )
    absent = [names[k] for k in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)]
    if absent and name == "train":
        raise BadData(f"{folder}: no picture to learn from of class {', '.join(absent)}")
    if absent:
        log.warning("%s: no picture to judge by of class %s", folder, ", ".join(absent))


# ---- picture files ---------------------------------------------------------------------------


def _read_pictures(folder: Path) -> tuple[tuple[str, ...], Part, Part]:
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
        last = _place_in_class(labels) % TEST_SHARE == TEST_SHARE - 1
        if not last.any():
            raise BadData(
                f"{folder}: every {TEST_SHARE}th picture of a class becomes the test, and no class "
                "has as many; give it folders train and test"
            )
        train, test = (pixels[~last], labels[~last]), (pixels[last], labels[last])
    check_part(folder, "train", train, names)
    check_part(folder, "test", test, names)
    return names, train, test


def _classes(folder: Path, least: int = 2) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if _is_class(path)))
    if not least <= len(names) <= CLASSES:
        raise BadData(
            f"{folder} must hold a folder of pictures for each class, {least} to {CLASSES}, "
            f"or MNIST's four files ({', '.join(FILES)}); it has {len(names)} folders"
        )
    return names


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _read_part(folder: Path, names: tuple[str, ...]) -> Part:
    pixels, labels = [], []
    for label, name in enumerate(names):
        files = _pictures(folder / name)
        if not files:
            raise BadData(f"{folder / name} holds no picture: {', '.join(sorted(SUFFIXES))}")
        for path in files:
            try:
                pixels.append(as_pixels(path))
            except BadPicture as error:
                words = str(error)
                raise BadData(words if str(path) in words else f"{path}: {words}") from error
            labels.append(label)
    return np.stack(pixels), np.array(labels, np.uint8)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _place_in_class(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Each picture's number among those of its class, from 0; `labels` are sorted."""
    first = np.searchsorted(labels, labels)
    places: NDArray[np.int64] = np.arange(len(labels)) - first
    return places
