"""The images by which a new version and the current one are compared: the test images of both.

    test_set.npz of the new version's run --------+--> n different images --> both versions
    test_set.npz of the current version's run ----+    without those that either was trained on

Of a folder that has grown, an image may be a test image of one version and a training image of the
other: trained_on.bin of the two runs lists them.

A version that was trained on other data may be accurate on its own test images and inaccurate on
those of the current version. If the current version's run is not on this machine, its golden images
show whether the new test set contains the current one: they are test images, and every version has
them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.card import GOLDEN
from contract.corrections import hash_of
from contract.version import Version
from export.proof import ProofFailed
from export.reading import as_served
from export.runners import Pixels
from training.checkpoint import BadRun, HeldOut, Images, digests, load_pixels
from training.run import Run

Indices = NDArray[np.intp]  # (k,) of images


class Incomparable(Exception):
    """Two versions cannot be compared on the same images; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """The images of a version's run."""

    test: Images  # as the service reads them
    stored: Pixels  # the same ones as they were tested; a few may differ
    corrections: HeldOut | None = None
    trained_on: Collection[bytes] = ()  # digests
    unreviewed: int = 0  # corrections that it was trained on and no admin accepted

    @classmethod
    def of(cls, run: Run, test: Images, stored: Pixels) -> Self:
        """BadRun if a file of the run is damaged."""
        also = run.facts()["data"].get("also") if run.has_facts else None
        return cls(
            test=test,
            stored=stored,
            corrections=run.corrections(),
            trained_on=run.trained_on(),
            unreviewed=(also or {}).get("unreviewed", 0),
        )


@dataclass(frozen=True)
class JudgedImages:
    """n test images, and which of them are in the test set of which version."""

    images: Images  # pixels (n, h, w) or (n, h, w, 3), labels (n,)
    own: Indices  # of the new version
    of_current: Indices | None = None  # None: the two test sets are the same, as far as is known
    excluded: int = 0  # further test images, which either version was trained on


def judged_images(own: RunImages, current: Version, runs: Path) -> JudgedImages:
    """The test images of the new version, `own`, and those of the current one.

    `runs` is the folder in which the current version's run may be. Incomparable if its test images
    are neither there nor part of `own`, or if either version was trained on all of them. Both
    versions have the same labels, shape and preparation.
    """
    golden = load_pixels(current.folder / GOLDEN)
    before = _images_of(current, runs, golden)
    if before is None and not _are_in(golden, own.test[0]):
        raise Incomparable(_unknown(current, runs))
    seen = {*own.trained_on, *(before.trained_on if before else ())}
    test, excluded = _unseen(own, seen)
    test_before, excluded_before = _unseen(before, seen) if before else (test, set())
    if not (len(test[1]) and len(test_before[1])):
        raise Incomparable("one of the two was trained on all test images of the other")
    judged = _union(test, test_before)
    return replace(judged, excluded=len(excluded | excluded_before))


def _unseen(run: RunImages, seen: set[bytes]) -> tuple[Images, set[bytes]]:
    """The test images that are not among the `seen` ones, and the digests of the others."""
    pixels, labels = run.test
    keys = digests(run.stored)
    unseen = np.array([key not in seen for key in keys], bool)
    return (pixels[unseen], labels[unseen]), seen & {*keys}


def _unknown(current: Version, runs: Path) -> str:
    data, run = current.card.data_set, current.card.run
    images = f"{data.test:,} test images of {data.name}" if data else "test images"
    advice = f", put the folder of its run at {runs / run}" if run else ""
    return (
        f"its own test images are not those of version {current.number}, whose {images} are not on "
        f"this machine. Train it on the data of version {current.number} too{advice}, or activate "
        "it by force"
    )


def _images_of(current: Version, runs: Path, golden: Pixels) -> RunImages | None:
    """Those of the current version's run, if it is there."""
    if current.card.run is None:
        return None
    run = Run(runs / current.card.run)
    try:
        stored, labels = run.test_set()
        if stored.shape[1:] != current.card.shape:
            return None
        test = as_served(stored, current.card.preparation), labels
        images = RunImages.of(run, test, stored)
    except (BadRun, ProofFailed):
        return None
    return images if _are_in(golden, test[0]) else None


def _are_in(some: Pixels, pixels: Pixels) -> bool:
    wanted, found = ({hash_of(each.tobytes()) for each in images} for images in (some, pixels))
    return wanted <= found


def _union(own: Images, before: Images) -> JudgedImages:
    """An image that both test sets have with the same label is there once."""
    count = len(own[1])
    index_of = {key: index for index, key in enumerate(_keys(own))}
    added: list[int] = []  # indices in `before`
    of_current: list[int] = []
    for index, key in enumerate(_keys(before)):
        if key not in index_of:
            index_of[key] = count + len(added)
            added.append(index)
        of_current.append(index_of[key])
    is_same = not added and len(of_current) == count
    pixels, labels = (np.concatenate([a, b[added]]) for a, b in zip(own, before, strict=True))
    return JudgedImages(
        (pixels, labels),
        own=np.arange(count),
        of_current=None if is_same else np.array(of_current),
    )


def _keys(images: Images) -> Iterator[tuple[str, int]]:
    for pixels, label in zip(*images, strict=True):
        yield hash_of(pixels.tobytes()), int(label)
