"""Image files: their headers and their pixels, at a cost that is known from the header.

    body --open_image--> OpenedImage(width, height, pixels, memory, raster) --raster()--> Raster

Pillow decodes every format except the small PNGs of the fast path, which OpenCV decodes in 5 us
instead of 60 (see `decoder`). Pillow parses headers in Python and has no limit on the number of
parts in a file, so the limits are here.

Raster   (h, w) gray, (h, w, 3) BGR or (h, w, 4) BGRA with straight alpha; uint8, upright
"""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from preprocessing.allocation import was_refused
from preprocessing.unsupported import UNKNOWN

Raster = NDArray[np.uint8]

SMALL = 2**11  # pixels; larger images are decoded in a thread
MOST_READS = 2**16  # of one file by Pillow: each read is a step in Python
MOST_PARTS = 2**14  # chunks of a PNG, strips or tiles of a TIFF
MOST_TILE = 2**24  # pixels of a strip or tile that is larger than its image
MOST_EXIF = 16  # segments of a JPEG, which are concatenated
# Each scan processes the whole image, however short it is. Progressive images have ten scans.
MOST_SCANS = 32
MOST_RUNS = 2**19  # bytes and pixels of a run-length encoded BMP, which Pillow decodes in Python
SCAN = b"\xff\xda"  # marks the beginning of a scan; inside a scan, 0xff is followed by 0
BLOCK = 128  # bytes of the coefficients of a JPEG's 8 x 8 samples

DEEP = frozenset({"I;16", "I;16B", "I;16L"})  # modes of 16 bits of gray
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
STORED = {"1": 1, "L": 1, "P": 1} | dict.fromkeys(DEEP, 2)  # bytes of a pixel; of others 4
CONVERTED = 4  # bytes of a pixel of the copy in another mode

# Exceptions that Pillow raises for damaged EXIF data.
BAD_EXIF = (SyntaxError, ArithmeticError, LookupError, OSError, TypeError, ValueError, struct.error)

warnings.filterwarnings("ignore", module=r"PIL\.")  # they are about tags that are not used here


class Reduction(NamedTuple):
    """How far an image is reduced while it is decoded: by whole factors, which costs little.

    Either to at most `pixels` on its longer side, or as far as `side` of it keeps `pixels`.
    """

    pixels: int
    side: Callable[[tuple[int, int]], int] = max
    is_limit: bool = True
    # Bytes that preparing the image takes: for each pixel that is left, and for the scaled image.
    copies: int = 0
    scaled: Callable[[tuple[int, int]], int] = lambda _: 0

    def factor(self, size: tuple[int, int]) -> int:
        """By which an image of `size` is reduced."""
        side = self.side(size)
        if self.is_limit:
            return -(-side // self.pixels)
        # Small PNGs are decoded by OpenCV, which reduces nothing.
        return 1 if size[0] * size[1] <= SMALL else max(1, side // self.pixels)

    def draft(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size that a decoder must at least decode an image to."""
        side = self.side(size)
        return max(1, size[0] * self.pixels // side), max(1, size[1] * self.pixels // side)

    def memory(self, size: tuple[int, int]) -> int:
        """An upper bound in bytes for preparing an image of `size` once it is decoded."""
        least = 1 << self.factor(size).bit_length() - 1  # JPEGs are reduced by powers of two
        return self.copies * -(-size[0] * size[1] // least**2) + self.scaled(size)


FOR_DIGITS = Reduction(256)  # more pixels do not improve a digit of 20


class NotAnImage(Exception):
    """The bytes are not an image, or a damaged or unsupported one."""


class OpenedImage(NamedTuple):
    """An image file of which only the header has been read."""

    width: int  # pixels, as stored: before the EXIF orientation is applied
    height: int
    pixels: int  # that are decoded, which limits apply to: fewer where a JPEG is reduced
    memory: int  # upper bound in bytes for decoding, including copies of the body
    raster: Callable[[], Raster]  # decodes the pixels; NotAnImage if they are damaged


def raster_of(image: Image.Image, reduction: Reduction = FOR_DIGITS) -> Raster:
    """The pixels of an image, upright, in 8 bits, reduced by a whole factor."""
    image.load()
    if image.mode in DEEP:
        mode = "I"  # 32 bits: converting directly to 8 would clip the values
    elif image.has_transparency_data:
        mode = "RGBA"
    elif image.mode in MODES:
        mode = MODES[image.mode]
    else:
        raise NotAnImage(
            f"pixels of the kind {image.mode} are not supported: use 8 or 16 bits a sample"
        )
    if image.mode != mode:
        image = image.convert(mode)
    image = _upright(image.reduce(reduction.factor(image.size)))
    pixels = np.asarray(image)
    if mode == "I":
        # A scanner's 8, 10 or 12 bits are the lowest of 16. For digits only contrast matters.
        most = _used_levels(pixels) if reduction is FOR_DIGITS else 2**16 - 1
        return ((pixels * 255 + most // 2) // most).astype(np.uint8)
    if mode == "L":
        return pixels
    # Numpy's own indexing takes 30 times as long.
    to_bgr = cv2.COLOR_RGBA2BGRA if mode == "RGBA" else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(pixels, to_bgr), np.uint8)


def _used_levels(pixels: NDArray[np.int32]) -> int:
    """The highest level of as many bits as the pixels use, at least 8."""
    return (1 << max(8, int(pixels.max()).bit_length())) - 1


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation. If EXIF is damaged, ignore it, as browsers do."""
    try:
        return ImageOps.exif_transpose(image)
    except BAD_EXIF:
        return image


def open_image(body: bytes, reduction: Reduction) -> OpenedImage:
    """Read the header of a file that starts with one of SIGNATURES."""
    opened = next(opened for first, opened in _OPENED.items() if body.startswith(first))
    return opened(body, reduction)


class _Bounded(BytesIO):
    """A file that can be read only a limited number of times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MOST_READS:
            raise NotAnImage("an image file of so many parts is not decoded: save it again")
        return super().read(size)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn any exception of Pillow into NotAnImage, or into MemoryError if memory was refused."""
    was_refused()  # resets the flag
    try:
        yield
    except (NotAnImage, MemoryError):
        raise
    except Exception:
        if was_refused():
            raise MemoryError("there was no memory to decode an image") from None
        raise NotAnImage(
            f"the {what} is damaged, incomplete or of a form that is not supported: send a PNG or "
            "a JPEG"
        ) from None


def _opened(body: bytes, image: ImageFile, reduction: Reduction, extra: int = 0) -> OpenedImage:
    """`extra` is the number of bytes that its decoder needs in addition to the pixels."""
    converted = image.mode not in ("L", "RGB", "RGBA") or "transparency" in image.info
    a_pixel = (
        STORED.get(image.mode, 4)
        + CONVERTED * converted
        + CONVERTED * image.has_transparency_data  # premultiplied by alpha, to reduce it
    )
    width, height = image.size
    memory = a_pixel * width * height + 2 * len(body) + extra
    raster = partial(_raster, image, reduction)
    return OpenedImage(width, height, width * height, memory, raster)


def _check_size(image: ImageFile, size: tuple[int, int]) -> None:
    """NotAnImage if Pillow's size differs from the one that was compared with the limits."""
    if image.size != size:
        raise NotAnImage("the image is damaged: it has two sizes")


def _raster(image: ImageFile, reduction: Reduction) -> Raster:
    with _refusing("image"):
        return raster_of(image, reduction)


# ---- PNG -------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n"
BITS, COLOUR = 24, 25  # offsets of the bits per sample and the colour type
_HEADER = struct.Struct(">16xIIBB").unpack_from  # width, height, bits per sample, colour type
_CHUNK = struct.Struct(">I4s").unpack_from
GRAY = 0  # colour type
SAMPLES = {GRAY: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # per pixel
A_PIXEL = {GRAY: 6, 2: 4, 3: 5, 4: 12, 6: 8}  # bytes, including copies in other modes
NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
# Chunks that libpng processes quickly and OpenCV interprets correctly.
PLAIN = frozenset(
    {
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"bKGD", b"cHRM", b"gAMA", b"hIST", b"pHYs", b"sBIT",
        b"sRGB", b"tEXt", b"tIME",
    }
)  # fmt: skip
STEP = 2**20  # bytes that are inflated in one step


def is_plain(body: bytes) -> bool:
    """Whether OpenCV decodes the PNG correctly and quickly, even a malicious one."""
    try:
        kinds = {kind for kind, _, _ in _chunks(body)}
    except NotAnImage:
        return False
    return kinds <= PLAIN or (kinds <= PLAIN | {b"tRNS"} and body[COLOUR] != GRAY)


def is_bomb(body: bytes) -> bool:
    """Whether a PNG's data is invalid or longer than its pixels: libpng would inflate it all."""
    width, height, bits, colour = _HEADER(body)
    # An interlaced row has up to eight parts, each with a filter byte and padding.
    most = height * ((width * SAMPLES.get(colour, 1) * bits + 7) // 8 + 1) + 16 * (width + height)
    inflater, found = zlib.decompressobj(), 0
    try:
        for kind, begin, end in _chunks(body):
            data = body[begin + 8 : end - 4] if kind == b"IDAT" else b""
            while data and not inflater.eof:
                found += len(inflater.decompress(data, min(STEP, most - found + 1)))
                data = inflater.unconsumed_tail
                if found > most:
                    return True
    except (NotAnImage, zlib.error):
        return True
    return False


def _png(body: bytes, reduction: Reduction) -> OpenedImage:
    if len(body) < COLOUR + 1 or body[12:16] != b"IHDR":
        raise NotAnImage("the PNG is damaged: it does not begin with a header")
    width, height, bits, colour = _HEADER(body)
    a_pixel = 1 if (bits, colour) == (8, GRAY) else A_PIXEL.get(colour, 4)
    if b"tRNS" in body:
        a_pixel += 2 * CONVERTED
    memory = a_pixel * width * height + 2 * len(body)
    raster = partial(_png_raster, body, (width, height), reduction)
    return OpenedImage(width, height, width * height, memory, raster)


def _png_raster(body: bytes, size: tuple[int, int], reduction: Reduction) -> Raster:
    """Keep only the chunks of the pixels: Pillow would inflate texts and decode animations."""
    view, kept = memoryview(body), [memoryview(PNG)]
    for kind, begin, end in _chunks(body):
        if kind not in NEEDED:
            continue
        if len(kept) > MOST_PARTS:
            raise NotAnImage(f"a PNG of more than {MOST_PARTS:,} parts is not decoded")
        name = kind.decode()  # ASCII, as all of NEEDED are
        if end > len(body):
            raise NotAnImage(f"the PNG is incomplete: it ends inside its {name} chunk")
        checksum = int.from_bytes(view[end - 4 : end], "big")
        if zlib.crc32(view[begin + 4 : end - 4]) != checksum:
            raise NotAnImage(f"the PNG is damaged: the checksum of its {name} chunk is wrong")
        kept.append(view[begin:end])
    with _refusing("PNG"):
        image = PngImageFile(_Bounded(b"".join(kept)))
        _check_size(image, size)
        bits = body[BITS]
        if "transparency" in image.info and body[COLOUR] == GRAY and bits in (2, 4):
            image.info["transparency"] *= 255 // (2**bits - 1)  # as for its pixels
        return raster_of(image, reduction)


def _chunks(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of each chunk; the last one is IEND."""
    begin, kind = len(PNG), b""
    while kind != b"IEND":
        if begin + 12 > len(body):
            raise NotAnImage("the PNG is incomplete: its end is missing")
        length, kind = _CHUNK(body, begin)
        end = begin + 12 + length
        yield kind, begin, end
        begin = end


# ---- other formats ------------------------------------------------------------------------------


def _jpeg(body: bytes, reduction: Reduction) -> OpenedImage:
    _check_scans(body)
    if body.count(b"Exif\0\0") > MOST_EXIF:
        raise NotAnImage(f"a JPEG of more than {MOST_EXIF} parts with EXIF is not decoded")
    with _refusing("JPEG"):
        image = JpegImageFile(_Bounded(body))
        width, height = image.size
        # Decode at 1/2, 1/4 or 1/8 of the size where that suffices, which is several times faster.
        image.draft(None, reduction.draft((width, height)))
        coefficients, scans = 0, body.count(SCAN)
        if scans > 1:  # then libjpeg stores the coefficients of all scans
            across = max(layer[1] for layer in image.layer)
            down = max(layer[2] for layer in image.layer)
            units = -(-width // (8 * across)) * -(-height // (8 * down))
            coefficients = BLOCK * units * sum(layer[1] * layer[2] for layer in image.layer)
        opened = _opened(body, image, reduction, coefficients)
        # A scan is decoded in a fraction of the time that the pixels of another format take: 0.3 s
        # for 1,000 megapixels at 1/8 of the size, and 0.4 s for a PNG of 16.
        pixels = max(opened.pixels, width * height * scans // MOST_SCANS)
        return opened._replace(width=width, height=height, pixels=pixels)


def _check_scans(body: bytes) -> None:
    if body.count(SCAN) > MOST_SCANS:
        raise NotAnImage(f"a JPEG of more than {MOST_SCANS} scans is not decoded")


def _gif(body: bytes, reduction: Reduction) -> OpenedImage:
    with _refusing("GIF"):
        return _opened(body, GifImageFile(_Bounded(body)), reduction)


def _bmp(body: bytes, reduction: Reduction) -> OpenedImage:
    with _refusing("BMP"):
        image = BmpImageFile(_Bounded(body))
        opened = _opened(body, image, reduction)
        in_runs = image.tile[0].codec_name == "bmp_rle"
        if in_runs and opened.width * opened.height + len(body) > MOST_RUNS:
            raise NotAnImage("a large BMP of run lengths is not decoded: send a PNG or a JPEG")
        return opened


def _webp(body: bytes, reduction: Reduction) -> OpenedImage:
    """Read only the header: libwebp allocates memory for the whole image when it opens it."""
    if len(body) < 32 or body[8:12] != b"WEBP":
        raise NotAnImage(UNKNOWN)
    match body[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", body, 26)
            width, height = width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 21)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            sides = (int.from_bytes(body[at : at + 3], "little") for at in (24, 27))
            width, height = (side + 1 for side in sides)
        case _:
            raise NotAnImage("the WebP is damaged: it does not begin with an image")
    # Two canvases and a copy in libwebp, Pillow's image, and a copy of it if it has alpha.
    a_pixel = 16 if body[12:16] == b"VP8 " else 20
    memory = a_pixel * width * height + 2 * len(body)
    raster = partial(_webp_raster, body, (width, height), reduction)
    return OpenedImage(width, height, width * height, memory, raster)


def _webp_raster(body: bytes, size: tuple[int, int], reduction: Reduction) -> Raster:
    with _refusing("WebP"):
        image = WebPImageFile(_Bounded(body))
        _check_size(image, size)
        return raster_of(image, reduction)


# Tags, and a value of COMPRESSION.
WIDTH, HEIGHT, COMPRESSION, STRIPS, ROWS = 256, 257, 259, 273, 278
TILE_WIDTH, TILE_HEIGHT, TILES = 322, 323, 324
JPEG = 7


def _tiff(body: bytes, reduction: Reduction) -> OpenedImage:
    """Check the tags first, because Pillow creates a list of all their values."""
    with _refusing("TIFF"):
        order = "<" if body.startswith(b"II") else ">"
        (at,) = struct.unpack_from(order + "I", body, 4)
        (count,) = struct.unpack_from(order + "H", body, at)
        entries = struct.iter_unpack(order + "HHII", body[at + 2 : at + 2 + 12 * count])
        for tag, _, many, _ in entries:
            if tag in (STRIPS, TILES) and many > MOST_PARTS:
                raise NotAnImage(f"a TIFF of more than {MOST_PARTS:,} parts is not decoded")
        image = TiffImageFile(_Bounded(body))
        tags = image.tag_v2
        if tags.get(COMPRESSION) == JPEG:
            _check_scans(body)
        width, height = tags[WIDTH], tags[HEIGHT]
        across, down = width, min(tags.get(ROWS, height), height)
        if TILES in tags:
            across, down = tags[TILE_WIDTH], tags[TILE_HEIGHT]
        if not 0 < across * down <= max(MOST_TILE, width * height):
            raise NotAnImage("the TIFF is damaged: its parts have no size, or far too large a one")
        parts = -(-width // across) * -(-height // down)
        if parts > MOST_PARTS:
            raise NotAnImage(f"a TIFF of more than {MOST_PARTS:,} parts is not decoded")
        if parts > np.size(tags[TILES if TILES in tags else STRIPS]):
            raise NotAnImage("the TIFF is incomplete: parts of it are missing")
        return _opened(body, image, reduction, 8 * across * down)


_OPENED: dict[bytes, Callable[[bytes, Reduction], OpenedImage]] = {
    PNG: _png,
    b"\xff\xd8\xff": _jpeg,
    b"RIFF": _webp,
    b"BM": _bmp,
    b"GIF8": _gif,
    b"II*\x00": _tiff,
    b"MM\x00*": _tiff,
}
SIGNATURES = tuple(_OPENED)
