"""TIFF: what libtiff is given has been looked at tag by tag, and what OpenCV gets wrong is mended.

    body --Directory.read--> tags --checks--> tags --Directory.written--> OpenCV --> raster

OpenCV forgets the transparency of gray, gives colours multiplied by theirs, takes what is beside
the colours for transparency, and knows neither 4 bits of gray nor 16 of which 0 is white.
"""

from functools import partial
from typing import NamedTuple, Self

import cv2
import numpy as np

from preprocessing.formats.jpeg import check_scans
from preprocessing.formats.picture import COPIES, NotAPicture, Picture, Raster, decoded, of_8_bits
from preprocessing.formats.tags import Directory, Tag

LITTLE, BIG = b"II*\x00", b"MM\x00*"
WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6  # photometric
COLOURS = {WHITE_IS_0: 1, BLACK_IS_0: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}  # samples
# No compression, three of faxes, LZW, JPEG, deflate under two numbers, PackBits.
COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32946, 32773})
JPEG = 7
UNSIGNED, CONTIGUOUS = 1, 1
MULTIPLIED, STRAIGHT = 1, 2  # colours by their alpha, or not
MOST_PIECES = 2**14  # strips or tiles; libtiff begins anew with each, which takes up to 20 us
MOST_TILE = 2**24  # pixels
MOST_PIECE = 2**28  # pixels; a larger one is refused when it is decoded, and not kept
DEEP = 16  # bits of a sample that takes two bytes


class Stored(NamedTuple):
    """How the pixels are."""

    width: int
    height: int
    photometric: int
    bits: int  # of a sample
    samples: int  # of a pixel
    alpha: int  # MULTIPLIED, STRAIGHT, or 0 for none
    apart: bool  # all of a sample stand together rather than all of a pixel

    @property
    def gray(self) -> bool:
        return self.photometric in (WHITE_IS_0, BLACK_IS_0)

    @classmethod
    def read(cls, body: bytes, tags: Directory) -> Self:
        samples = tags.number(body, Tag.SAMPLES, 1)
        photometric = tags.number(body, Tag.PHOTOMETRIC, -1)
        beside = samples - COLOURS.get(photometric, samples)
        return cls(
            tags.number(body, Tag.WIDTH),
            tags.number(body, Tag.HEIGHT),
            photometric,
            tags.number(body, Tag.BITS, 1),
            samples,
            tags.number(body, Tag.EXTRA, STRAIGHT) if beside else 0,
            samples > 1 and tags.number(body, Tag.PLANAR, CONTIGUOUS) != CONTIGUOUS,
        )


def opened(body: bytes) -> Picture:
    tags = Directory.read(body)
    width, height = tags.number(body, Tag.WIDTH), tags.number(body, Tag.HEIGHT)
    return Picture(width, height, partial(_raster, body, tags), _memory(body, tags))


def _memory(body: bytes, tags: Directory) -> int:
    """Bytes: samples and their copies, a strip or tile as libtiff keeps it, copies of the body."""
    width, height = tags.number(body, Tag.WIDTH), tags.number(body, Tag.HEIGHT)
    samples = tags.number(body, Tag.SAMPLES, 1)
    size = 2 if tags.number(body, Tag.BITS, 1) == DEEP else 1  # bytes of a sample
    if Tag.TILES in tags.entries:
        piece = tags.number(body, Tag.TILE_WIDTH) * tags.number(body, Tag.TILE_HEIGHT)
    else:
        piece = width * min(tags.number(body, Tag.ROWS, height), height)
    gray = tags.number(body, Tag.PHOTOMETRIC, -1) in (WHITE_IS_0, BLACK_IS_0)
    channels = 1 if gray and samples == 1 else 5 if gray else 3 if samples <= 3 else 4
    kept = 2 * samples if tags.number(body, Tag.COMPRESSION, 1) == JPEG else samples * size
    pixels = COPIES * channels * size * width * height
    return pixels + max(4, kept) * min(piece, MOST_PIECE) + 2 * len(body)


def _raster(body: bytes, tags: Directory) -> Raster:
    stored = Stored.read(body, tags)
    _check_kind(body, tags, stored)
    changed = _pieces(body, tags, stored)
    if stored.gray and stored.samples == 2:
        return _gray_with_alpha(body, tags, stored, changed)
    if stored.gray and stored.bits == 4:
        steps = range(0, 2**16, 0x1111)
        grays = steps if stored.photometric == BLACK_IS_0 else reversed(steps)
        changed |= {Tag.PHOTOMETRIC: [PALETTE], Tag.COLOURS: 3 * list(grays)}
    if stored.samples == 4 and stored.photometric == RGB:
        # Libtiff multiplies colours by their alpha unless it is told that this is done.
        changed[Tag.EXTRA] = [MULTIPLIED]
    samples = decoded(tags.written(body, changed))
    if stored.bits == 16 and stored.photometric == WHITE_IS_0:
        np.bitwise_not(samples, out=samples)
    raster = of_8_bits(samples)
    if raster.ndim < 3 or raster.shape[2] < 4 or stored.alpha == STRAIGHT:
        return raster
    return _divided(raster) if stored.alpha == MULTIPLIED else np.ascontiguousarray(raster[..., :3])


def _check_kind(body: bytes, tags: Directory, stored: Stored) -> None:
    """NotAPicture unless OpenCV, with our help, decodes such a file as it should."""
    bits, colours = stored.bits, COLOURS.get(stored.photometric, 0)
    formats = {UNSIGNED, *(tags.numbers(body, Tag.FORMAT) if Tag.FORMAT in tags.entries else ())}
    depths = {bits, *(tags.numbers(body, Tag.BITS) if Tag.BITS in tags.entries else ())}
    compression = tags.number(body, Tag.COMPRESSION, 1)
    deep = stored.photometric in (WHITE_IS_0, BLACK_IS_0, RGB) and not stored.apart
    known = {
        f"a colour space of number {stored.photometric}": colours > 0,
        "numbers that are not whole, or below 0": formats == {UNSIGNED},
        f"{'and '.join(map(str, sorted(depths)))} bits": depths == {bits}
        and (bits == 8 or (bits == 16 and deep) or (bits in (1, 4) and stored.samples == 1)),
        f"{stored.samples} samples": stored.samples == colours
        or (stored.samples == colours + 1 and stored.photometric in (WHITE_IS_0, BLACK_IS_0, RGB)),
        f"a compression of number {compression}": compression in COMPRESSIONS,
    }
    for unknown in (what for what, is_known in known.items() if not is_known):
        raise NotAPicture(f"a TIFF of {unknown} is not supported; send a PNG or a JPEG")
    if compression == JPEG:
        check_scans(body)


def _pieces(body: bytes, tags: Directory, stored: Stored) -> dict[Tag, list[int]]:
    """The tags that say what size a strip or a tile is, if it can be and all are there."""
    tiled = Tag.TILES in tags.entries
    places = tags.numbers(body, Tag.TILES if tiled else Tag.STRIPS)
    lengths = tags.numbers(body, Tag.TILE_BYTES if tiled else Tag.STRIP_BYTES)
    # Behind the body will be our directory, which libtiff would take for pixels.
    if any(at + length > len(body) for at, length in zip(places, lengths, strict=False)):
        raise NotAPicture("the TIFF is incomplete: it ends within its pixels")
    if tiled:
        width, height = tags.number(body, Tag.TILE_WIDTH), tags.number(body, Tag.TILE_HEIGHT)
        sizes = {Tag.TILE_WIDTH: [width], Tag.TILE_HEIGHT: [height]}
    else:
        width = stored.width
        height = min(tags.number(body, Tag.ROWS, stored.height), stored.height)
        sizes = {Tag.ROWS: [height]}
    if not 0 < width * height <= max(MOST_TILE, stored.width * stored.height):
        raise NotAPicture("the TIFF is damaged: its parts have no size, or far too large a one")
    if -(-stored.width // width) * -(-stored.height // height) > MOST_PIECES:
        raise NotAPicture(f"a TIFF of more than {MOST_PIECES:,} parts is not decoded")
    return {Tag.WIDTH: [stored.width], Tag.HEIGHT: [stored.height], **sizes}


def _gray_with_alpha(
    body: bytes, tags: Directory, stored: Stored, changed: dict[Tag, list[int]]
) -> Raster:
    """Decoded as gray of twice the width, in which every second pixel is alpha."""
    if stored.apart or tags.number(body, Tag.PREDICTOR, 1) != 1:
        raise NotAPicture("a TIFF of gray with alpha, stored like this, is not supported")
    for tag in changed.keys() & {Tag.WIDTH, Tag.TILE_WIDTH}:
        changed[tag] = [2 * changed[tag][0]]
    changed |= {Tag.SAMPLES: [1], Tag.BITS: [stored.bits], Tag.EXTRA: [], Tag.FORMAT: []}
    pairs = decoded(tags.written(body, changed | {Tag.ORIENTATION: []}))
    gray, alpha = np.moveaxis(of_8_bits(pairs).reshape(stored.height, stored.width, 2), 2, 0)
    if stored.photometric == WHITE_IS_0 and stored.bits == 16:
        gray = np.bitwise_not(gray)
    if stored.photometric == WHITE_IS_0 and stored.bits == 8:
        alpha = np.bitwise_not(alpha)
    turned = _upright(np.stack([gray, gray, gray, alpha], 2), tags.number(body, Tag.ORIENTATION))
    if not stored.alpha:
        return np.ascontiguousarray(turned[..., 0])
    return turned if stored.alpha == STRAIGHT else _divided(turned)


def _divided(raster: Raster) -> Raster:
    """Colours that had been multiplied by alpha as they were before."""
    alpha = raster[..., 3]
    for k in range(3):
        raster[..., k] = cv2.divide(raster[..., k], alpha, scale=255)
    return raster


def _upright(raster: Raster, orientation: int) -> Raster:
    """Turned and mirrored from the way the tag says that it lies."""
    turned = raster.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else raster
    turned = turned[::-1] if orientation in (3, 4, 7, 8) else turned
    turned = turned[:, ::-1] if orientation in (2, 3, 6, 7) else turned
    return np.ascontiguousarray(turned)
