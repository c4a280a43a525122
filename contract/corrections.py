"""Corrections: images that users labelled, kept as files until a training uses them.

    FOLDER/accepted/<label>/<sha256>.png   for training: a folder of images, as `--also` takes it
           waiting/<label>/<sha256>.png    disputed or suspicious, until an admin decides
           rejected/<label>/<sha256>.png   kept, so that the same correction is not accepted again
           decided/<label>/<sha256>        empty: an admin accepted this label of this image

A file holds the pixels that the network saw, and is named by their sha256. So a correction that is
added twice is there once, and an image with two labels is two files of one name: it is disputed.
There is no index and no lock. Files are written aside and renamed, so several services may add to
one folder, and a reader never sees half a file.

Every fifth image, chosen by its hash, is never trained on: it judges what was trained.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import accumulate, islice
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from urllib.parse import unquote

from contract.files import read_regular, replace_together

State = Literal["accepted", "waiting", "rejected"]
STATES: tuple[State, ...] = get_args(State)
DECIDED = "decided"
FEW = 20  # corrections that are pruned even if they are most of all
HELD_OUT = 5  # one image in so many
HASH, SUFFIX = r"[0-9a-f]{64}", ".png"
LARGEST = 64 * 2**20  # bytes of a file; 4096 x 4096 RGB, the largest that a network takes, in noise
_FILE = re.compile(HASH + re.escape(SUFFIX))
DRAFT_SECONDS = 3600.0  # after which a hidden file is what a killed process left behind


class CorrectionError(Exception):
    """A correction cannot be found or changed; the message names it and the reason."""


class NoCorrection(CorrectionError):
    """There is no correction of that image, or none with that label."""


class NoDecision(CorrectionError):
    """The image has several labels, and none was named."""


class ImplausibleAge(CorrectionError):
    """Most corrections are too old, as they are to a clock that is wrong."""


class Correction(NamedTuple):
    """One label that was given to one image."""

    sha256: str  # of the pixels
    label: str
    state: State
    created: float  # seconds since the epoch
    size: int  # bytes of the file
    reviewed: bool = False  # it is accepted, and by an admin


def hash_of(pixels: bytes) -> str:
    """The name of an image: `pixels` are those of (h, w) or (h, w, 3) uint8, row by row."""
    return sha256(pixels).hexdigest()


def is_held_out(image: str) -> bool:
    """Whether an image, by its hash, judges trainings and is never trained on."""
    return int(image[:8], 16) % HELD_OUT == 0


def folder_of(label: str) -> str:
    """The name of a label's folder: the label, with what a path cannot hold percent-encoded."""
    name = label.replace("%", "%25").replace("/", "%2F")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def label_of(folder: str) -> str:
    """The label whose folder has that name."""
    return unquote(folder)


def is_reviewed(folder: Path, label: str, image: str) -> bool:
    """Whether an admin accepted that label of an image, in a folder of corrections."""
    return (folder / DECIDED / folder_of(label) / image).exists()


class Corrections:
    """A folder of corrections. All methods raise OSError if it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> Iterator[Correction]:
        """Every correction, in no order. Files that are no corrections are left out."""
        for state, label, folder in self._labels():
            for entry in _entries(folder):
                if _FILE.fullmatch(entry.name):
                    with suppress(FileNotFoundError):  # moved meanwhile
                        found = entry.stat()
                        image = entry.name[: -len(SUFFIX)]
                        yield self._correction(image, label, state, found)

    def of(self, image: str) -> list[Correction]:
        """Those of one image, by its hash: one for each label that it was given."""
        found = []
        for state, label, folder in self._labels():
            with suppress(FileNotFoundError):
                file = (folder / f"{image}{SUFFIX}").stat()
                found.append(self._correction(image, label, state, file))
        return found

    def find(self, image: str, label: str) -> Correction | None:
        return next((each for each in self.of(image) if each.label == label), None)

    def png(self, image: str) -> bytes:
        """The image itself; NoCorrection if there is none."""
        for each in self._known(image):
            with suppress(FileNotFoundError):  # moved meanwhile
                return read_regular(self._path(each.state, each.label, image), LARGEST)
        raise _no_correction(image)

    def add(self, image: str, label: str, png: bytes, *, suspicious: bool) -> Correction:
        """Keep an image with a label. One that is there already is returned as it is.

        It is accepted, unless it is suspicious or the image has another label that was not
        rejected: then it waits. NotConfirmed if the disk does not confirm that it is stored.
        """
        known = self.find(image, label)
        if known is not None:
            return known
        disputed = any(each.state != "rejected" for each in self.of(image) if each.label != label)
        state: State = "waiting" if suspicious or disputed else "accepted"
        path = self._path(state, label, image)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_together({path: png})
        # After the file is there: of two services that add two labels at once, one sees both.
        self._withdraw_disputed(image)
        return self.find(image, label) or Correction(image, label, state, time.time(), len(png))

    def accept(self, image: str, label: str | None = None) -> None:
        """Accept one label of an image, and reject all others.

        `label` may be omitted where only one was not rejected. NoCorrection or NoDecision.
        """
        known = self._known(image)
        live = [each for each in known if each.state != "rejected"] or known
        if label is None and len(live) > 1:
            names = ", ".join(sorted(each.label for each in live))
            raise NoDecision(f"the image {image} has several labels: name one of {names}")
        chosen = self._chosen(known, live[0].label if label is None else label)
        decided = self._decided(chosen.label, image)
        decided.parent.mkdir(parents=True, exist_ok=True)
        decided.touch()  # first, so that a label that is sent meanwhile waits alone
        for each in known:
            if each is not chosen:
                self._move(each, "rejected")
        self._move(chosen, "accepted")

    def reject(self, image: str, label: str | None = None) -> None:
        """Reject one label of an image, or all of them; NoCorrection if there is none."""
        known = self._known(image)
        for each in known if label is None else [self._chosen(known, label)]:
            self._move(each, "rejected")

    def delete(self, image: str) -> int:
        """Remove an image with all its labels; the number of files. NoCorrection if none."""
        return self._remove(self._known(image))

    def delete_all(self, state: State) -> int:
        """Remove all corrections in one state; returns the number."""
        return self._remove([each for each in self.all() if each.state == state])

    def prune(self, before: float) -> int:
        """Remove what was added before a time, in seconds since the epoch; returns the number.

        Files that killed processes left half written are removed too. ImplausibleAge, and nothing
        is removed, if that would be more than FEW corrections and most of them.
        """
        found = [*self.all()]
        old = [each for each in found if each.created < before]
        if len(old) > max(FEW, len(found) / 2):
            raise ImplausibleAge(
                f"{len(old):,} of {len(found):,} corrections in {self.folder} are too old, and are "
                "kept in case the clock is wrong: if it is right, delete them by hand"
            )
        left = time.time() - DRAFT_SECONDS
        for _, _, folder in self._labels():
            for entry in _entries(folder):
                if entry.name.startswith(".") and _created(entry) < left:
                    Path(entry.path).unlink(missing_ok=True)
        return self._remove(old)

    def prune_rejected(self, most: int, most_bytes: int) -> int:
        """Remove the oldest rejected ones beyond a number, or a number of bytes; how many."""
        rejected = [each for each in self.all() if each.state == "rejected"]
        rejected.sort(key=lambda each: each.created, reverse=True)
        sizes = accumulate(each.size for each in rejected)
        kept = sum(size <= most_bytes for size in islice(sizes, most))
        return self._remove(rejected[kept:])

    # ---- private --------------------------------------------------------------------------------

    def _labels(self) -> Iterator[tuple[State, str, Path]]:
        """The folder of each label in each state."""
        for state in STATES:
            for entry in _entries(self.folder / state):
                if entry.is_dir() and not entry.name.startswith("."):
                    yield state, label_of(entry.name), Path(entry.path)

    def _path(self, state: State, label: str, image: str) -> Path:
        return self.folder / state / folder_of(label) / f"{image}{SUFFIX}"

    def _correction(self, image: str, label: str, state: State, file: os.stat_result) -> Correction:
        reviewed = state == "accepted" and is_reviewed(self.folder, label, image)
        return Correction(image, label, state, file.st_mtime, file.st_size, reviewed)

    def _decided(self, label: str, image: str) -> Path:
        """A file that exists if an admin accepted this label."""
        return self.folder / DECIDED / folder_of(label) / image

    def _known(self, image: str) -> list[Correction]:
        found = self.of(image)
        if not found:
            raise _no_correction(image)
        return found

    def _chosen(self, known: list[Correction], label: str) -> Correction:
        for each in known:
            if each.label == label:
                return each
        raise NoCorrection(f"the image {known[0].sha256} was never given the label {label!r}")

    def _withdraw_disputed(self, image: str) -> None:
        """Let all labels of an image wait if there are several, except one an admin accepted."""
        live = [each for each in self.of(image) if each.state != "rejected"]
        if len(live) > 1:
            for each in live:
                if not is_reviewed(self.folder, each.label, image):
                    self._move(each, "waiting")

    def _move(self, correction: Correction, state: State) -> None:
        target = self._path(state, correction.label, correction.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another service has moved or removed it
            self._path(correction.state, correction.label, correction.sha256).replace(target)

    def _remove(self, corrections: Sequence[Correction]) -> int:
        """The number of files that are removed."""
        for each in corrections:
            self._path(each.state, each.label, each.sha256).unlink(missing_ok=True)
            self._decided(each.label, each.sha256).unlink(missing_ok=True)
        return len(corrections)


def _no_correction(image: str) -> NoCorrection:
    return NoCorrection(f"there is no correction of the image {image}")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _created(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
