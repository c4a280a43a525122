"""The images by which a new version and the current one are compared: the test images of both.

    test_set.npz of the new version's run --------+--> n different images --> both versions
    test_set.npz of the current version's run ----+

A version that was trained on other data may be accurate on its own test images and inaccurate on
those of the current version. If the current version's run is not on this machine, its golden images
show whether the new test set contains the current one: they are test images, and every version has
them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.card import GOLDEN
from contract.corrections import hash_of
from contract.version import Version
from export.proof import ProofFailed
from export.reading import as_served
from export.runners import Pixels
from training.checkpoint import BadRun, Images, load_pixels
from training.run import Run

Indices = NDArray[np.intp]  # (k,) of images


class Incomparable(Exception):
    """Two versions cannot be compared on the same images; the message is the reason."""


@dataclass(frozen=True)
class JudgedImages:
    """n test images, and which of them are in the test set of which version."""

    images: Images  # pixels (n, h, w) or (n, h, w, 3), labels (n,)
    own: Indices  # of the new version
    of_current: Indices | None = None  # None: the two test sets are the same, as far as is known


def judged_images(own: Images, current: Version, runs: Path) -> JudgedImages:
    """The test images of the new version, `own`, and those of the current one.

    `runs` is the folder in which the current version's run may be. Incomparable if its test images
    are neither there nor part of `own`. Both versions have the same labels, shape and preparation.
    """
    golden = load_pixels(current.folder / GOLDEN)
    before = _test_set(current, runs, golden)
    if before is not None:
        return _union(own, before)
    if not _are_in(golden, own[0]):
        raise Incomparable(_unknown(current, runs))
    return JudgedImages(own, np.arange(len(own[1])))


def _unknown(current: Version, runs: Path) -> str:
    data, run = current.card.data_set, current.card.run
    images = f"{data.test:,} test images of {data.name}" if data else "test images"
    advice = f", put the folder of its run at {runs / run}" if run else ""
    return (
        f"its own test images are not those of version {current.number}, whose {images} are not on "
        f"this machine. Train it on the data of version {current.number} too{advice}, or activate "
        "it by force"
    )


def _test_set(current: Version, runs: Path, golden: Pixels) -> Images | None:
    """The test images of the current version's run, as the service reads them, if it is there."""
    if current.card.run is None:
        return None
    try:
        pixels, labels = Run(runs / current.card.run).test_set()
        if pixels.shape[1:] != current.card.shape:
            return None
        pixels = as_served(pixels, current.card.preparation)
    except (BadRun, ProofFailed):
        return None
    return (pixels, labels) if _are_in(golden, pixels) else None


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
