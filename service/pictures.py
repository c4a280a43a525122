"""Picture files -> pixels that the model eats, all of a request together.

[Sent(name, body), ...] --decode, ink--> (n, 28, 28) uint8
"""

from collections.abc import Callable, Sequence

import numpy as np

from service.decode import NotAPicture, TooManyPixels, identify, small_png
from service.forms import Sent
from service.ink import SIDE, Blank, Ink, Pixels, as_mnist

SHEET = (SIDE, SIDE)
FEW = 8  # small pictures are decoded on the event loop; more would hold it up for a millisecond


class NobodyWaits(Exception):
    """The deadline passed, or the client hung up, while its pictures were decoded."""


def quick_pixels_of(sent: Sequence[Sent], ink: Ink, max_pixels: int) -> Pixels | None:
    """Pixels (n, 28, 28) of a few small PNGs, in well under a millisecond; None for any others."""
    if len(sent) > FEW:
        return None
    sheets = []
    for place, (_, body) in enumerate(sent):
        try:
            raster = small_png(body, max_pixels)
            if raster is None:
                return None
            sheets.append(as_mnist(raster, ink))
        except (NotAPicture, Blank) as error:
            raise _named(error, sent, place) from error
    return np.stack(sheets)


def pixels_of(
    sent: Sequence[Sent], ink: Ink, max_pixels: int, is_over: Callable[[], bool]
) -> Pixels:
    """Pixels (n, 28, 28) of any; NotAPicture, TooManyPixels or Blank says which is none.

    Takes long: `is_over` is asked before each whether to go on, NobodyWaits if not.
    """
    pixels = np.empty((len(sent), *SHEET), np.uint8)
    for place, (_, body) in enumerate(sent):
        if is_over():
            raise NobodyWaits
        try:
            pixels[place] = as_mnist(identify(body, max_pixels=max_pixels).raster(), ink)
        except (NotAPicture, TooManyPixels, Blank) as error:
            raise _named(error, sent, place) from error
    return pixels


def _named(error: Exception, sent: Sequence[Sent], place: int) -> Exception:
    """The same, saying which of several pictures it is."""
    if len(sent) == 1:
        return error
    return type(error)(f"{sent[place].name} (picture {place + 1} of {len(sent)}): {error}")
