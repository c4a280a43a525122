"""Warns of images that occur twice where that makes a result wrong.

    in the training and the test part    the accuracy is measured on images that were trained on
    under two labels                     one of the labels is wrong

Images are the same if their prepared pixels are, so copies in another file format are found too.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.checkpoint import digests
from training.listing import Listing, counted, some

EXAMPLES = 3

log = logging.getLogger("training")


def report_duplicates(
    listing: Listing, pixels: NDArray[np.uint8], usable: NDArray[np.bool_]
) -> None:
    """Compare the `pixels` of the `usable` images of a listing."""
    by_content: dict[bytes, list[int]] = {}
    for place, digest in zip(np.flatnonzero(usable).tolist(), digests(pixels), strict=True):
        by_content.setdefault(digest, []).append(place)
    same = [places for places in by_content.values() if len(places) > 1]  # each in order
    in_both = [places for places in same if places[0] < listing.train <= places[-1]]
    if in_both:
        tested = sum(place >= listing.train for places in in_both for place in places)
        log.warning(
            "%s: %s also in the training part, which makes the accuracy too high: %s",
            listing.where, _are(tested, "test image"),
            _examples(listing, [[places[0], places[-1]] for places in in_both]),
        )  # fmt: skip
    contradictory = [places for places in same if len({*listing.labels[places].tolist()}) > 1]
    if contradictory:
        log.warning(
            "%s: %s under more than one class: %s",
            listing.where, _are(len(contradictory), "image"), _examples(listing, contradictory),
        )  # fmt: skip


def _are(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"


def _examples(listing: Listing, groups: Sequence[Sequence[int]]) -> str:
    return some(
        (" = ".join(_name(listing, place) for place in group) for group in groups), EXAMPLES
    )


def _name(listing: Listing, place: int) -> str:
    image = listing.images[place]
    if not isinstance(image, Path):
        return f"image {place} ({listing.names[listing.labels[place]]})"
    return str(image.relative_to(listing.where))
