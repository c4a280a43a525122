"""Every usual picture file becomes gray pixels; what is damaged or too large is refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from service.decode import Gray, NotAPicture, TooManyPixels, identify
from tests.service.pictures import encoded, seven

SEVEN = np.where(seven(side=64) > 127, 255, 0).astype(np.uint8)
LIMIT = 16_000_000


def decoded(body: bytes) -> Gray:
    return identify(body, max_pixels=LIMIT).gray()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    assert np.array_equal(decoded(encoded(SEVEN, kind)), SEVEN)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_stay_close(kind: str) -> None:
    difference = decoded(encoded(SEVEN, kind, quality=90)).astype(int) - SEVEN
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_becomes_gray_of_8_bits(mode: str) -> None:
    image = Image.fromarray(SEVEN)
    if mode == "I;16":
        image = Image.fromarray(SEVEN.astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    gray = decoded(encoded(image))
    assert gray.dtype == np.uint8
    assert np.array_equal(gray > 128, SEVEN > 128)


@pytest.mark.parametrize("pen", [0, 255], ids=["black", "white"])
def test_a_drawing_on_a_transparent_canvas_lies_on_paper_of_the_other_colour(pen: int) -> None:
    alpha = Image.fromarray(255 - SEVEN)
    canvas = Image.merge("LA", (Image.new("L", alpha.size, pen), alpha))
    gray = decoded(encoded(canvas))
    assert gray[0, 0] == 255 - pen
    assert (gray == pen).sum() == (SEVEN == 0).sum()


def test_a_photo_is_turned_as_its_exif_orientation_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show it upright
    lying = Image.fromarray(np.rot90(SEVEN).copy())
    upright = decoded(encoded(lying, "JPEG", quality=95, exif=exif))
    assert np.abs(upright.astype(int) - SEVEN).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.5])
def test_a_cut_file_is_refused(kind: str, part: float) -> None:
    body = encoded(SEVEN, kind)
    with pytest.raises(NotAPicture):
        decoded(body[: max(9, int(len(body) * part))])


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%PDF-1.7",
        bytes(99),
    ],
    ids=["text", "SVG", "PDF", "zeros"],
)
def test_what_is_no_known_picture_is_refused_by_its_first_bytes(body: bytes) -> None:
    with pytest.raises(NotAPicture, match="no PNG, JPEG, WebP, BMP, GIF or TIFF"):
        identify(body, max_pixels=LIMIT)


def bomb(width: int, height: int) -> bytes:
    """A small, valid PNG file that says it is very large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_a_picture_of_too_many_pixels_is_refused_from_its_header_alone() -> None:
    with pytest.raises(TooManyPixels, match=r"30000 x 30000 pixels, more than the 16,000,000"):
        identify(bomb(30_000, 30_000), max_pixels=LIMIT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_limit_of_pixels_holds_for_every_format(kind: str) -> None:
    body = encoded(SEVEN, kind)
    identify(body, max_pixels=64 * 64)
    with pytest.raises(TooManyPixels, match="64 x 64"):
        identify(body, max_pixels=64 * 64 - 1)


def test_a_header_without_a_size_is_refused() -> None:
    with pytest.raises(NotAPicture, match="no width and height"):
        identify(bomb(0, 28), max_pixels=LIMIT)
