"""The proof begins at image files: the service must read them as the network was tested.

    test pixels --PNG--> file --decoded and prepared as in the service--> the same pixels

A preparation may make other pixels of an image than a data set holds, for example of an IDX file
whose images were not prepared at all. The accuracy of a training is then not that of the service.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from contract.card import Preparation
from export.proof import ProofFailed
from export.runners import Pixels
from preprocessing.decoder import NotAnImage
from preprocessing.digits.normalize import Blank
from preprocessing.encoding import png_of
from preprocessing.preparation import Preparer, preparer_of

SAMPLE = 1000  # test images that are read; all of them where one differs
TOLERATED = 0.01  # share of images that are read otherwise
MAX_PIXELS = 10**8  # of a file


def as_served(pixels: Pixels, preparation: Preparation) -> Pixels:
    """The test images as the service reads them from files: `pixels`, unless a few differ.

    ProofFailed if more than TOLERATED differ. An image that the service would refuse is black.
    """
    prepare = preparer_of(preparation, pixels.shape[1:])
    chosen = np.unique(np.linspace(0, len(pixels) - 1, min(SAMPLE, len(pixels))).astype(int))
    differing = int(_differs(_read(prepare, pixels[chosen]), pixels[chosen]).sum())
    if differing > TOLERATED * len(chosen):
        raise ProofFailed(
            f"the service would read {differing} of {len(chosen)} test images otherwise than they "
            f"were tested: as files, the preparation {preparation.kind!r} makes other pixels of "
            "them. Train with a preparation that keeps them: --preparation stretch"
        )
    if not differing:
        _log(f"{len(chosen):,} test images are read from files as they were tested")
        return pixels
    read = _read(prepare, pixels)
    _log(
        f"{_differs(read, pixels).sum():,} of {len(pixels):,} test images are read otherwise from "
        "files: all numbers of this version are of the images as they are read"
    )
    return read


def _read(prepare: Preparer, pixels: Pixels) -> Pixels:
    read = np.zeros_like(pixels)
    for index, image in enumerate(pixels):
        try:
            file = png_of(prepare.with_margin(image))
            read[index] = prepare.file(file, max_pixels=MAX_PIXELS)
        except (Blank, NotAnImage):
            continue
    return read


def _differs(read: Pixels, pixels: Pixels) -> NDArray[np.bool_]:  # (n,)
    different: NDArray[np.bool_] = (read != pixels).reshape(len(pixels), -1).any(1)
    return different


def _log(line: str) -> None:
    print(line, file=sys.stderr)
