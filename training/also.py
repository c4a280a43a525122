"""More images for a training: the folders of `--also`, such as the corrections of users.

    folder/<label>/*.png --read--> images --by hash--> 4/5: trained on, `--also-weight` times
                                                   --> 1/5: held out, runs/<id>/corrections.npz

A file that is named by the hash of its pixels, as corrections are, holds what a network saw, and is
used as it is. Any other image is prepared like those of the data set. Which fifth is held out
depends on the hash alone, so that it is the same in every training. Of corrections, the run keeps
whether an admin accepted them: others cannot make a version better, and a version that was trained
on others is not activated by itself.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from contract.corrections import HASH, hash_of, is_held_out, is_reviewed, label_of
from preprocessing.decoder import Raster
from preprocessing.digits.normalize import Blank
from preprocessing.preparation import Pixels, Preparer, preparer_of
from training.checkpoint import HeldOut
from training.data import DataSet
from training.idx import BadData
from training.image import BadImage, read_raster
from training.listing import Part, counted, label_type, some
from training.own import images_in, visible
from training.reading import in_threads

ACCEPTED = "accepted"  # of a folder of corrections, the folder to train on

log = logging.getLogger("training")


@dataclass(frozen=True)
class Also:
    """The images of some folders, without those that are in the test set."""

    folders: tuple[str, ...]
    train: Part
    held_out: HeldOut
    unreviewed: int = 0  # images in `train` that are corrections which no admin accepted

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "folders": list(self.folders),
            "train": len(self.train[1]),
            "unreviewed": self.unreviewed,
            "held_out": len(self.held_out.labels),
        }

    def in_words(self) -> str:
        return (
            f"{counted(len(self.train[1]), 'image')} of {', '.join(self.folders)}, where "
            f"{len(self.held_out.labels):,} more are held out"
        )


class _File(NamedTuple):
    path: Path
    label: int
    reviewed: bool  # it is no correction, or one that an admin accepted


class _Image(NamedTuple):
    key: str  # hash of its pixels
    pixels: Pixels  # (h, w) or (h, w, 3)


def check_folders(folders: Sequence[Path]) -> None:
    """BadData unless all of them exist."""
    for folder in folders:
        if not folder.is_dir():
            raise BadData(f"--also: {folder} is no folder")


def read_also(folders: Sequence[Path], data: DataSet) -> Also | None:
    """The images of these folders, for a training on `data`; None if there are none.

    Images that cannot be used are named and left out: damaged and blank ones, those of unknown
    classes or with two labels, and those of the test set. BadData if a folder is missing.
    """
    files = _listed(folders, data.labels)
    images = _read([each.path for each in files], preparer_of(data.preparation, data.shape))
    by_key: dict[str, set[int]] = {}
    reviewed = set()
    for image, file in zip(images, files, strict=True):
        if image is not None:
            by_key.setdefault(image.key, set()).add(file.label)
            if file.reviewed:
                reviewed.add(image.key)
    pixels = {image.key: image.pixels for image in images if image is not None}
    _leave_out(by_key, [key for key, each in by_key.items() if len(each) > 1], "with two labels")
    tested = {hash_of(each.tobytes()) for each in data.test[0]}
    same = [key for key in by_key if hash_of(pixels[key].tobytes()) in tested]
    _leave_out(by_key, same, "in the test set")
    keys = sorted(by_key)
    if not keys:
        log.warning("--also: there are no images to use in %s", ", ".join(map(str, folders)))
        return None

    def part(chosen: Sequence[str]) -> Part:
        empty = np.empty((0, *data.shape), np.uint8)
        found = [pixels[key] for key in chosen]
        of = np.array([min(by_key[key]) for key in chosen], label_type(len(data.labels)))
        return np.stack(found) if found else empty, of

    held_out = [key for key in keys if is_held_out(key)]
    train = [key for key in keys if not is_held_out(key)]
    return Also(
        tuple(map(str, folders)),
        train=part(train),
        held_out=HeldOut(*part(held_out), np.array([key in reviewed for key in held_out], bool)),
        unreviewed=len({*train} - reviewed),
    )


def _listed(folders: Sequence[Path], names: Sequence[str]) -> list[_File]:
    """The image files of known classes in all folders."""
    check_folders(folders)
    place = {name: label for label, name in enumerate(names)}
    files = []
    for folder in folders:
        found = {label_of(path.name): path for path in sorted(visible(folder)) if path.is_dir()}
        if ACCEPTED in found and ACCEPTED not in place:
            raise BadData(f"--also: {folder} is a folder of corrections: name {folder / ACCEPTED}")
        images = {name: images_in(path) for name, path in found.items()}
        unknown = [name for name, paths in images.items() if paths and name not in place]
        if unknown:
            log.warning(
                "--also: left out %s of unknown classes in %s: %s; the data set has %s",
                counted(sum(len(images[name]) for name in unknown), "image"),
                folder,
                some(unknown),
                some(names),
            )
        files += [
            _File(path, place[name], _is_reviewed(folder, name, path))
            for name, paths in images.items()
            if name in place
            for path in paths
        ]
    return files


def _is_reviewed(accepted: Path, label: str, path: Path) -> bool:
    """Whether an admin accepted a correction; true of an image that the operator put there."""
    if not re.fullmatch(HASH, path.stem):
        return True
    return is_reviewed(accepted.resolve().parent, label, path.stem)


def _read(paths: Sequence[Path], prepare: Preparer) -> list[_Image | None]:
    """None of an image that cannot be used, which is logged."""

    def read(number: int) -> _Image | str:
        try:
            return _image(paths[number], prepare)
        except (BadImage, Blank) as error:
            return f"{paths[number]}: {error}"

    results = list(in_threads(read, len(paths)))
    faults = [each for each in results if isinstance(each, str)]
    if faults:
        log.warning("--also: left out %s: %s", counted(len(faults), "image"), some(faults))
    return [None if isinstance(each, str) else each for each in results]


def _image(path: Path, prepare: Preparer) -> _Image:
    raster = read_raster(path, prepare.reduction)
    if re.fullmatch(HASH, path.stem):
        seen = _as_seen(raster)
        if hash_of(seen.tobytes()) == path.stem:
            return _Image(path.stem, seen if seen.shape == prepare.shape else prepare(raster))
    pixels = prepare(raster)
    return _Image(hash_of(pixels.tobytes()), pixels)


def _as_seen(raster: Raster) -> Pixels:
    """The pixels of a file as they were written: gray, or RGB."""
    colours: Any = raster
    if colours.ndim == 3 and colours.shape[2] == 3:
        colours = cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(colours)


def _leave_out(labels: dict[str, set[int]], keys: Sequence[str], reason: str) -> None:
    if keys:
        log.warning("--also: left out %s %s: %s", counted(len(keys), "image"), reason, some(keys))
    for key in keys:
        del labels[key]
