"""Picture files -> pixels that the model eats, all of a request together.

[Sent(name, body), ...] --decode, ink--> (n, 28, 28) uint8
"""

from collections.abc import Callable, Sequence

import numpy as np

from contract.card import SIDE
from service.data_url import data_url, png_of
from service.decode import NotAPicture, TooManyPixels, identify, small_png
from service.forms import Sent
from service.ink import AskedInk, Blank, are_mnist, as_mnist
from service.tensors import Pixels

SHEET = (SIDE, SIDE)
FEW = 32  # pictures that are decoded on the event loop: more would hold it up


class NobodyWaits(Exception):
    """The deadline passed, or the client hung up, while its pictures were decoded."""


def prepared(sent: Sequence[Sent], max_pixels: int) -> Pixels | None:
    """Pixels (n, 28, 28) of a few that look like MNIST, in microseconds; None for any others."""
    if len(sent) > FEW:
        return None
    sheets = []
    for _, body in sent:
        try:
            raster = small_png(body, max_pixels, tiny=0)  # many that are tiny are large together
        except NotAPicture:  # which is told, by its name, on the long way
            return None
        if raster is None or raster.shape != SHEET:
            return None
        sheets.append(raster)
    pixels = np.stack(sheets)
    return pixels if are_mnist(pixels).all() else None


def pixels_of(
    sent: Sequence[Sent], ink: AskedInk, max_pixels: int, is_over: Callable[[], bool]
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
            if len(sent) == 1:
                raise  # an error that is its own cause would keep the body until garbage is sought
            raise _named(error, sent, place) from error
    return pixels


def looks_of(pixels: Pixels) -> list[str]:
    """Of each picture (n, 28, 28), what goes to the model, as a page can show it."""
    return [data_url(png_of(sheet)) for sheet in pixels]


def _named(error: Exception, sent: Sequence[Sent], place: int) -> Exception:
    """The same, saying which of several pictures it is."""
    return type(error)(f"{sent[place].name} (picture {place + 1} of {len(sent)}): {error}")
