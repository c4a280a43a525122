"""Files that are damaged, too large, or disproportionately expensive are rejected quickly."""

import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import thread_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from preprocessing.decoder import SIGNATURES, NotAnImage, TooManyPixels, decode, identify, small_png
from preprocessing.digits.normalize import normalize_digit
from service.api.v1.bodies import ImageFile
from service.api.v1.images import prepared
from tests.preprocessing import files
from tests.support.pictures import encoded, seven

LIMIT = 16_000_000
FEW = 2**20  # pixels: a limit that keeps even the canvas cheap
KINDS = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]
SEVEN = seven(side=64)
SHEET = encoded(seven(side=28, paper=0, ink=255))
COLOUR = Image.fromarray(SEVEN).convert("RGB")
CLEAR = Image.merge("LA", (Image.fromarray(SEVEN), Image.fromarray(255 - SEVEN)))
WHOLE = [
    *(encoded(image, kind) for kind in KINDS for image in (Image.fromarray(SEVEN), COLOUR)),
    *(encoded(CLEAR, kind) for kind in ("PNG", "WEBP", "GIF", "TIFF")),
    encoded(COLOUR, "JPEG", progressive=True),
    encoded(COLOUR, "WEBP", save_all=True, append_images=[COLOUR.rotate(90)]),
    encoded(COLOUR, "GIF", save_all=True, append_images=[COLOUR.rotate(90)]),
    encoded(COLOUR.quantize(9), "PNG", transparency=3),
    *(encoded(COLOUR, "TIFF", compression=c) for c in ("tiff_lzw", "packbits", "jpeg")),
    encoded(COLOUR.convert("1"), "TIFF", compression="group4"),
]


@contextmanager
def soon(seconds: float = 0.1) -> Iterator[None]:
    """Within so many seconds of CPU time, which does not depend on other load."""
    began = thread_time()
    yield
    assert thread_time() - began < seconds


def read(body: bytes) -> None:
    """With both decoders; any exception but a rejection is a failure."""
    with suppress(NotAnImage):
        small_png(body, FEW)
    with suppress(NotAnImage, TooManyPixels):
        identify(body, max_pixels=FEW).raster()


@pytest.mark.parametrize("whole", WHOLE, ids=lambda body: f"{body[:4]!r}, {len(body)} bytes")
def test_a_truncated_file_is_rejected_unless_its_pixels_are_complete(whole: bytes) -> None:
    expected = identify(whole, max_pixels=LIMIT).raster()
    most = len(whole)
    for length in {*range(1, 60), *range(60, most, 41), *range(most - 30, most)}:
        with soon(), suppress(NotAnImage):
            assert np.array_equal(identify(whole[:length], max_pixels=LIMIT).raster(), expected)
    with pytest.raises(NotAnImage):
        identify(whole[: most * 2 // 5], max_pixels=LIMIT).raster()  # within the first frame


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_ends_within_a_scan_is_rejected(progressive: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    whole = encoded(noise, "JPEG", progressive=progressive)
    for length in range(len(whole) // 2, len(whole), 4999):
        with pytest.raises(NotAnImage):
            identify(whole[:length], max_pixels=LIMIT).raster()


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(40),
        b"II+\0\x08\0\0\0" + bytes(99),
        bytes(99),
    ],
    ids=["text", "sound", "BigTIFF", "zeros"],
)
def test_an_unknown_format_is_rejected_by_its_first_bytes(body: bytes) -> None:
    with pytest.raises(NotAnImage, match="no PNG, JPEG, WebP, BMP, GIF or TIFF"):
        identify(body, max_pixels=LIMIT)


def of_size(kind: str, width: int, height: int) -> bytes:
    """A small file that declares this size."""
    if kind == "TIFF":
        return files.tiff("<", files.tags((width, height), 8, 1), [SEVEN.tobytes()])
    body = bytearray(encoded(SEVEN, kind))
    match kind:
        case "PNG":
            struct.pack_into(">II", body, 16, width, height)
        case "JPEG":
            struct.pack_into(">HH", body, body.index(b"\xff\xc0") + 5, height, width)
        case "WEBP":
            struct.pack_into("<HH", body, 26, width, height)
        case "BMP":
            struct.pack_into("<ii", body, 18, width, height)
        case "GIF":
            struct.pack_into("<HH", body, 6, width, height)
    return bytes(body)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_pixels_are_rejected_from_the_header_alone(kind: str) -> None:
    side = 16_000 if kind == "WEBP" else 30_000  # 14 bits
    with soon(0.01), pytest.raises(TooManyPixels, match=f"{side} x {side} pixels, more than the 1"):
        identify(of_size(kind, side, side), max_pixels=LIMIT)


def test_a_photo_of_25_megapixels_is_decoded_within_the_limit_if_it_is_a_jpeg() -> None:
    """It is reduced while it is decoded, so fewer pixels are decoded than it has."""
    side = 5000
    sheet = np.kron(seven(side=side // 8), np.ones((8, 8), np.uint8))
    opened = identify(encoded(sheet, "JPEG"), max_pixels=LIMIT)
    assert (opened.width, opened.height) == (side, side)
    assert opened.pixels < side * side / 30
    assert opened.memory < 10 * 2**20
    small = normalize_digit(SEVEN).astype(int)
    assert np.abs(normalize_digit(opened.raster()) - small).mean() < 5
    for kind in ("PNG", "BMP", "TIFF"):
        with pytest.raises(TooManyPixels, match="5000 x 5000 pixels"):
            identify(of_size(kind, side, side), max_pixels=LIMIT)


def test_every_scan_of_a_jpeg_counts_towards_the_limit() -> None:
    """A progressive one takes as many times longer to decode as it has scans."""
    opened = identify(encoded(COLOUR, "JPEG", progressive=True), max_pixels=LIMIT)
    large = of_size("JPEG", 5000, 5000) + b"\xff\xda" * 31
    assert opened.pixels == 64 * 64
    with pytest.raises(TooManyPixels, match="5000 x 5000 pixels"):
        identify(large, max_pixels=LIMIT)


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_of_pixels_is_exact(kind: str) -> None:
    body = encoded(SEVEN, kind)
    identify(body, max_pixels=64 * 64)
    with pytest.raises(TooManyPixels, match="64 x 64"):
        identify(body, max_pixels=64 * 64 - 1)
    assert small_png(SHEET, 28 * 28) is not None
    assert small_png(SHEET, 28 * 28 - 1) is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "GIF"])  # has that of its frame
def test_a_header_without_a_size_is_rejected(kind: str) -> None:
    with pytest.raises(NotAnImage, match=r"no width and height|(JPEG|BMP|TIFF) is damaged"):
        identify(of_size(kind, 0, 28), max_pixels=LIMIT)


@pytest.mark.parametrize(
    "body",
    [
        files.bmp((30_000, 30_000), 24, b"", header=12),
        files.bmp((30_000, -30_000), 24, b""),
        b"RIFF\0\1\0\0WEBPVP8X\n\0\0\0\2\0\0\0" + b"\x30\x75\0" * 2 + bytes(99),
        b"\xff\xd8\xff\xe1\0\x0c"
        + b"\xff\xc0\0\x08"
        + bytes(6)
        + of_size("JPEG", 30_000, 30_000)[2:],
    ],
    ids=["OS/2", "upside down", "canvas of an animation", "thumbnail in EXIF"],
)
def test_the_size_is_the_one_that_the_decoder_uses(body: bytes) -> None:
    with pytest.raises(TooManyPixels):
        identify(body, max_pixels=LIMIT)


def test_a_negative_width_is_rejected() -> None:
    with pytest.raises(TooManyPixels):  # it is read as a very large one
        identify(files.bmp((-28, 28), 24, b""), max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("first", "second", "width"), [(64, 1, 64), (1, 64, 1)], ids=["larger", "smaller"]
)
def test_the_first_of_two_equal_tags_of_a_tiff_counts(first: int, second: int, width: int) -> None:
    body = bytearray(files.tiff("<", files.tags((first, 64), 8, 1), [SEVEN.tobytes()]))
    again = body.index(struct.pack("<HHI", 277, 3, 1))  # samples per pixel, 1 by default
    struct.pack_into("<HHII", body, again, 256, 4, 1, second)
    picture = identify(bytes(body), max_pixels=LIMIT)
    assert picture.width == width
    assert picture.raster().shape == (64, width)


@pytest.mark.parametrize("chain", [False, True], ids=["itself", "a million more"])
def test_links_to_further_pages_of_a_tiff_are_not_followed(chain: bool) -> None:
    body = bytearray(files.tiff("<", files.tags((64, 64), 8, 1), [SEVEN.tobytes()]))
    begin, behind = 8, b""
    (count,) = struct.unpack_from("<H", body, begin)
    if chain:
        pages = np.zeros((10**6, 6), np.uint8)
        pages[:, 2:] = (
            (len(body) + 6 * np.arange(1, 10**6 + 1, dtype="<u4")).view(np.uint8).reshape(-1, 4)
        )
        begin, behind = len(body), pages.tobytes()
    struct.pack_into("<I", body, 8 + 2 + 12 * count, begin)
    with soon():
        raster = identify(bytes(body) + behind, max_pixels=LIMIT).raster()
    assert np.array_equal(raster, SEVEN)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (files.tags((64, 64), 32, 1, t339=3), "pixels of the kind F are not supported"),
        (files.tags((64, 64), 8, 8, 3), "pixels of the kind LAB are not supported"),
        (
            files.tags((64, 64), 8, 1, 5),
            "TIFF is damaged, incomplete or of a form that is not supported",
        ),
        (files.tags((64, 64), 8, 1) | {259: ("H", [50000])}, "form that is not supported"),
        (files.tags((64, 64), 8, 1, t278=32), "parts of it are missing"),
        (files.tags((64, 64_000), 8, 1, t278=1), "more than 16,384 parts"),
        (files.tags((64, 64), 8, 1, t322=2**16, t323=2**16), "far too large"),
        (files.tags((64, 64), 8, 1, t278=0), "no size"),
    ],
)
def test_the_error_about_an_unsupported_tiff_says_why(
    tags: dict[int, tuple[str, list[int]]], reason: str
) -> None:
    body = files.tiff("<", tags, [bytes(64 * 64 * 8)])
    with soon(), pytest.raises(NotAnImage, match=reason):
        identify(body, max_pixels=LIMIT).raster()


def test_a_wrong_checksum_is_rejected() -> None:
    for at in (30, 60, len(SHEET) - 14):  # of the header, within the data, of the data
        body = bytearray(SHEET)
        body[at] ^= 1
        with pytest.raises(NotAnImage):
            identify(bytes(body), max_pixels=LIMIT).raster()
        with pytest.raises(NotAnImage):
            small_png(bytes(body), LIMIT)


LONG = zlib.compress(bytes(7_999_000), 9)  # the length that libpng still inflates


@pytest.mark.parametrize(
    ("kind", "data", "times"),
    [
        (b"zTXt", b"k\0\0" + LONG, 100),
        (b"iTXt", b"k\0\1\0\0\0" + LONG, 100),
        (b"iCCP", b"k\0\0" + LONG, 1),
        (b"tEXt", b"k\0" + bytes(10**6), 9),
        (b"abCd", b"", 10_000),
    ],
)
def test_ancillary_chunks_of_a_png_cost_nothing(kind: bytes, data: bytes, times: int) -> None:
    body = files.with_chunk(SHEET, kind, data, times)
    assert small_png(body, LIMIT) is None
    picture = identify(body, max_pixels=LIMIT)
    with soon():
        picture.raster()
    tracemalloc.start()
    picture.raster()
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_only_the_pixels_of_a_png_with_excess_data_are_inflated() -> None:
    body = files.png((28, 28), 8, 0, bytes(50_000_000))
    assert small_png(body, LIMIT) is None
    tracemalloc.start()
    with soon(0.02):
        assert identify(body, max_pixels=LIMIT).raster().shape == (28, 28)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_png_of_very_many_chunks_is_rejected() -> None:
    body = files.with_chunk(SHEET, b"IDAT", b"", 800_000)
    tracemalloc.start()
    with pytest.raises(NotAnImage, match="more than 16,384 parts"):
        identify(body, max_pixels=LIMIT).raster()
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_the_blocks_of_a_gif_take_a_few_times_the_memory_of_the_file() -> None:
    blocks = b"\x02\x00\x00" * 500_000
    body = files.gif((28, 28), b"")
    at = body.rindex(b"\0;")
    body = body[:at] + blocks + body[at:]
    tracemalloc.start()
    with soon(0.5):
        identify(body, max_pixels=LIMIT).raster()
    assert tracemalloc.get_traced_memory()[1] < 6 * len(body)
    tracemalloc.stop()


@pytest.mark.parametrize(("side", "data"), [(28, 7_000_000), (256, 30_000_000)])
def test_the_fast_path_leaves_a_small_png_with_excess_data(side: int, data: int) -> None:
    body = files.png((side, side), 8, 0, bytes(data))
    assert len(body) < 2**15
    with soon(0.02):
        assert small_png(body, LIMIT) is None


def test_the_fast_path_leaves_many_tiny_pngs_with_excess_data() -> None:
    body = files.png((28, 28), 8, 0, bytes(900_000))
    assert len(body) < 2**10
    with soon(0.05):
        assert prepared([ImageFile("", body)] * 32, LIMIT) is None


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_damaged_image_is_rejected_after_memory_was_refused_for_something_else(kind: str) -> None:
    body = encoded(SEVEN, kind)
    damaged = body[: len(body) * 2 // 5]
    with pytest.raises(MemoryError):
        np.empty(2**60, np.uint8)
    with pytest.raises(NotAnImage, match=r"damaged|incomplete"):
        decode(damaged, max_pixels=LIMIT)


@pytest.mark.parametrize("code", [[0, 0, 1], [1, 0, 1]], ids=["clear", "end"])
def test_a_gif_that_only_clears_its_table_is_rejected(code: list[int]) -> None:
    clears = np.packbits(np.array(code * 10**6, np.uint8), bitorder="little").tobytes()
    with soon(), pytest.raises(NotAnImage, match="damaged"):
        identify(files.gif((28, 28), clears), max_pixels=LIMIT).raster()


def test_a_gif_may_clear_its_table_whenever_it_is_full() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (250, 250)).astype(np.uint8)
    raster = identify(encoded(noise, "GIF"), max_pixels=LIMIT).raster()
    assert np.array_equal(raster, noise)


def test_a_jpeg_of_many_scans_is_rejected() -> None:
    body = encoded(Image.new("RGB", (2000, 2000)), "JPEG", progressive=True)
    last = body[body.rindex(b"\xff\xda") : -2]
    with soon(), pytest.raises(NotAnImage, match="more than 32 scans"):
        identify(body[:-2] + 1000 * last + body[-2:], max_pixels=LIMIT)


def segments(marker: bytes, data: bytes, times: int) -> bytes:
    """A JPEG with so many segments before its frame."""
    segment = marker + struct.pack(">H", len(data) + 2) + data
    whole = encoded(SEVEN, "JPEG")
    return whole[:2] + segment * times + whole[2:]


def comments(times: int) -> bytes:
    """A GIF with a comment of so many blocks before its frame."""
    whole, at = files.gif((28, 28), b""), 19  # after its two colours
    return whole[:at] + b"!\xfe" + b"\1x" * times + b"\0" + whole[at:]


def two_headers() -> bytes:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    return files.with_chunk(SHEET, b"IHDR", header)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (segments(b"\xff\xfe", b"x", 100_000), "so many parts"),
        (segments(b"\xff\xe1", b"Exif\0\0" + bytes(60_000), 150), "more than 16 parts with EXIF"),
        (comments(100_000), "so many parts"),
        (two_headers(), "two sizes"),
        (files.bmp((2000, 2000), 8, b"\0\2\0\0" * 10**6, bytes(1024), compression=1), "large BMP"),
        (files.tiff("<", files.tags((64, 64), 8, 1), [SEVEN.tobytes()] * 20_000), "16,384 parts"),
    ],
    ids=["JPEG's comments", "EXIF", "GIF's comment", "two headers", "BMP's runs", "TIFF's strips"],
)
def test_files_that_would_occupy_pillow_are_rejected_quickly(body: bytes, reason: str) -> None:
    with soon(0.3), pytest.raises(NotAnImage, match=reason):
        identify(body, max_pixels=LIMIT).raster()


def test_scans_are_counted_only_in_jpegs() -> None:
    scans = np.tile(np.array([255, 218], np.uint8), (64, 32))
    for kind in ("TIFF", "BMP"):
        assert np.array_equal(identify(encoded(scans, kind), max_pixels=LIMIT).raster(), scans)


def test_pixels_of_16_bits_take_at_most_three_times_the_memory_of_the_raster() -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (1000, 1000)).astype(np.uint16)
    body = encoded(Image.fromarray(noise), "TIFF")
    tracemalloc.start()
    raster = identify(body, max_pixels=LIMIT).raster()
    # The arrays of numpy and OpenCV, and a copy of the file with our directory appended.
    assert tracemalloc.get_traced_memory()[1] < 3.1 * raster.nbytes + len(body)
    tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(first=st.sampled_from(sorted(SIGNATURES)), rest=st.binary(max_size=300))
def test_any_bytes_after_a_signature_are_read_or_rejected(first: bytes, rest: bytes) -> None:
    with soon():
        read(first + rest)


@settings(max_examples=600, deadline=None)
@given(
    whole=st.sampled_from(WHOLE),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
    early=st.booleans(),
)
def test_a_file_with_wrong_bytes_is_read_or_rejected(
    whole: bytes, flips: list[tuple[float, int]], early: bool
) -> None:
    body = bytearray(whole)
    for place, value in flips:  # half of them within the headers
        body[int(place * (min(len(body), 100) if early else len(body)))] = value
    with soon():
        read(bytes(body))
