"""Image files -> pixels for the model, all of a request together.

[ImageFile(name, body), ...] --identify--> sizes --decode, prepare--> (n, h, w[, 3]) uint8

The headers of all files are read before the first image is decoded, so a request that costs too
much is refused before it costs anything. The work is done in slices, one after the other.
"""

from collections.abc import Callable, Sequence
from math import prod
from time import perf_counter

import cv2
import numpy as np

from contract.card import SIDE
from preprocessing.allocation import was_refused
from preprocessing.decoder import NotAnImage, OpenedImage, TooManyPixels, identify, small_png
from preprocessing.digits.normalize import Blank, InkMode, are_normalized
from preprocessing.encoding import data_url, png_of
from preprocessing.preparation import Preparer
from service.api.v1.bodies import ImageFile
from service.errors import Problem
from service.http.offload import SMALL, Kept, Slices
from service.problem_types.prediction import REQUEST_TOO_MANY_PIXELS
from service.settings import Settings
from service.tensors import Pixels

SHEET = (SIDE, SIDE)
FEW = 16  # images that are decoded on the event loop: more would hold it up
LITTLE = 2**16  # bytes of pixels that need no room of their own: those of a few images of digits
SLICE = 0.005  # seconds that small images are prepared one after the other


def prepared(sent: Sequence[ImageFile], max_pixels: int) -> Pixels | None:
    """Pixels (n, 28, 28) of a few that look like MNIST, in microseconds; None for any others."""
    if len(sent) > FEW:
        return None
    sheets = []
    for _, body in sent:
        try:
            raster = small_png(body, max_pixels, tiny=0)  # many that are tiny are large together
        except NotAnImage:  # reported with its name by `pixels_of`
            return None
        if raster is None or raster.shape != SHEET:
            return None
        sheets.append(raster)
    pixels = np.stack(sheets)
    return pixels if all(are_normalized(pixels)) else None


def pixels_of(
    read: Callable[[], list[ImageFile]],
    reading: int,
    prepare: Preparer,
    ink: InkMode,
    settings: Settings,
) -> Slices[Pixels]:
    """Pixels (n, *prepare.shape); raises NotAnImage, TooManyPixels or Blank, naming the image.

    `read` returns the files, which takes `reading` bytes of memory. Each slice is one large
    image, or as many small ones as take a few milliseconds; the pixels are kept between them.
    """
    yield reading
    images = _identified(read(), prepare, settings)
    del read  # and the body that it may hold
    reserved, size = max(reading, SMALL), len(images) * prod(prepare.shape)
    if size > LITTLE and len(images) > 1:  # one image is done within its slice
        yield Kept(size)
        reserved = SMALL
    pixels, began = np.empty((len(images), *prepare.shape), np.uint8), perf_counter()
    images.reverse()  # so that each, and its file, is released when it is done
    for place in range(len(images)):
        name, opened = images.pop()
        if opened.memory > reserved or perf_counter() - began > SLICE:
            yield opened.memory
            reserved, began = max(opened.memory, SMALL), perf_counter()
        try:
            pixels[place] = _pixels(opened, prepare, ink)
        except (NotAnImage, Blank) as error:
            if not name:
                raise  # an error that is its own cause would keep the body until garbage is sought
            raise type(error)(f"{name}: {error}") from error
    return pixels


def preview_urls_of(pixels: Pixels) -> list[str]:
    """The pixels (n, h, w[, 3]) that go to the model, as images that a page can show."""
    return [data_url(png_of(image)) for image in pixels]


def _identified(
    sent: list[ImageFile], prepare: Preparer, settings: Settings
) -> list[tuple[str, OpenedImage]]:
    """Each with its name in errors; raises Problem if together they have too many pixels."""
    found, pixels, count = [], 0, len(sent)
    for place, (name, body) in enumerate(sent, 1):
        called = f"{name} (image {place} of {count})" if count > 1 else ""
        try:
            opened = identify(body, max_pixels=settings.max_pixels, reduction=prepare.reduction)
        except (NotAnImage, TooManyPixels) as error:
            if not called:
                raise
            raise type(error)(f"{called}: {error}") from error
        found.append((called, opened))
        pixels += opened.pixels
    if pixels > settings.max_request_pixels:
        raise Problem(
            REQUEST_TOO_MANY_PIXELS,
            f"the {count} images have {pixels:,} pixels together, more than the "
            f"{settings.max_request_pixels:,} of a request (DIGITSERVE_MAX_REQUEST_PIXELS); send "
            "smaller ones, or fewer at once",
        )
    return found


def _pixels(opened: OpenedImage, prepare: Preparer, ink: InkMode) -> Pixels:
    """(h, w[, 3]); MemoryError if an allocation failed, even where the result looks whole."""
    was_refused()  # resets the flag
    try:
        pixels = prepare(opened.raster(), ink)
    except (NotAnImage, Blank):
        if was_refused():
            raise MemoryError("there was no memory to decode an image") from None
        raise
    except cv2.error as error:
        # Of what the C++ library raises, such as std::bad_alloc, there is no code.
        if was_refused() or getattr(error, "code", None) == cv2.Error.StsNoMem:
            raise MemoryError("there was no memory to prepare an image") from error
        raise
    if was_refused():  # a decoder may give up, and leave the rest of the image empty
        raise MemoryError("there was no memory to decode an image")
    return pixels
