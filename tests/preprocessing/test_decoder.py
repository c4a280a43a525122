"""Every common image file is decoded to the same pixels as by Pillow, upright, in 8 bits."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from preprocessing.decoder import NotAnImage, Raster, identify, small_png
from tests.preprocessing import files
from tests.support.pictures import encoded, seven

LIMIT = 16_000_000
W, H = SIZE = 50, 37
Y, X = np.mgrid[:H, :W]
R, G, B = ((X * a + Y * b).astype(np.uint8) for a, b in [(5, 0), (0, 6), (3, 2)])
A = np.clip((X + Y) * 4 - 20, 0, 255).astype(np.uint8)
RGB, RGBA = np.dstack([R, G, B]), np.dstack([R, G, B, A])
SEVEN = np.where(seven(side=64) > 127, 255, 0).astype(np.uint8)

GRAY, COLOUR = Image.fromarray(R), Image.fromarray(RGB)
CLEAR = Image.fromarray(RGBA)
GRAY_CLEAR = Image.merge("LA", (GRAY, Image.fromarray(A)))
ONE = Image.fromarray(R > 127)
DEEP = Image.fromarray(R.astype(np.uint16) * 257)
PALETTE = COLOUR.quantize(200)
CMYK = COLOUR.convert("CMYK")


def decoded(body: bytes) -> Raster:
    raster = identify(body, max_pixels=LIMIT).raster()
    assert raster.dtype == np.uint8
    assert raster.flags.c_contiguous
    return raster


def seen(body: bytes) -> Raster:
    """The pixels decoded by Pillow: BGR, or BGRA if anything is transparent."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(body)))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    clear = "A" in image.mode or "transparency" in image.info
    pixels = np.asarray(image.convert("RGBA" if clear else "RGB"))
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def assert_same(raster: Raster, expected: Raster, within: int = 0) -> None:
    """Fully transparent pixels may have any colour."""
    if raster.ndim == 2:
        raster = np.dstack([raster] * 3)
    assert raster.shape == expected.shape
    shown = expected[..., 3:] > 0 if expected.shape[2] == 4 else True
    assert (np.abs(raster.astype(int) - expected) * shown).max() <= within


def written(*modes: Image.Image, kind: str, **options: Any) -> list[Any]:
    reported = [str(value) for name, value in options.items() if name != "append_images"]
    name = " ".join([kind, *reported])
    return [
        pytest.param(encoded(image, kind, **options), id=f"{name} {image.mode}") for image in modes
    ]


FILES = [
    *written(ONE, GRAY, GRAY_CLEAR, PALETTE, COLOUR, CLEAR, DEEP, kind="PNG"),
    *written(COLOUR.quantize(2), kind="PNG", bits=1),
    *written(COLOUR.quantize(16), kind="PNG", bits=4),
    *written(PALETTE, kind="PNG", transparency=bytes(range(200))),
    *written(PALETTE, GRAY, kind="PNG", transparency=5),
    *written(COLOUR, kind="PNG", transparency=tuple(map(int, RGB[5, 5]))),
    *written(CLEAR, kind="PNG", save_all=True, append_images=[CLEAR.rotate(180)]),
    *written(GRAY, COLOUR, CMYK, kind="JPEG"),
    *written(GRAY, COLOUR, CMYK, kind="JPEG", progressive=True),
    *written(COLOUR, kind="JPEG", keep_rgb=True),
    *written(COLOUR, CLEAR, GRAY, kind="WEBP", quality=90),
    *written(COLOUR, CLEAR, kind="WEBP", lossless=True),
    *written(CLEAR, COLOUR, kind="WEBP", save_all=True, append_images=[CLEAR.rotate(180)]),
    *written(ONE, GRAY, PALETTE, COLOUR, CLEAR, kind="BMP"),
    *written(ONE, GRAY, PALETTE, COLOUR, CLEAR, kind="GIF"),
    *written(GRAY, kind="GIF", interlace=0),
    *written(PALETTE, kind="GIF", transparency=3),
    *written(COLOUR, kind="GIF", save_all=True, append_images=[COLOUR.rotate(180)]),
    *(
        file
        for compression in [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"]
        for file in written(
            ONE, GRAY, GRAY_CLEAR, PALETTE, COLOUR, CLEAR, DEEP, CMYK,
            kind="TIFF", compression=compression,
        )
    ),
    *written(GRAY, COLOUR, CMYK, kind="TIFF", compression="jpeg"),
    *written(ONE, kind="TIFF", compression="group3"),
    *written(ONE, kind="TIFF", compression="group4"),
    *written(COLOUR, kind="TIFF", save_all=True, append_images=[GRAY]),
]  # fmt: skip


@pytest.mark.parametrize("body", FILES)
def test_files_written_by_pillow_are_decoded_as_by_pillow(body: bytes) -> None:
    # For CMYK one of them scales by 256 levels, the other by 255.
    assert_same(decoded(body), seen(body), within=body.startswith(b"\xff\xd8"))


def deep(*channels: Raster, order: str = ">") -> Raster:
    """16-bit samples, as rows of bytes (h, n)."""
    samples = (np.dstack(channels).astype(np.uint16) * 257).astype(order + "u2")
    return samples.reshape(len(channels[0]), -1).view(np.uint8)


BY_HAND = {
    **{
        f"PNG, {bits} bits of gray": files.png(SIZE, bits, 0, files.packed(R >> 8 - bits, bits))
        for bits in (1, 2, 4)
    },
    "PNG, 16 bits of colour": files.png(SIZE, 16, 2, deep(R, G, B)),
    "PNG, 16 bits with alpha": files.png(SIZE, 16, 6, deep(R, G, B, A)),
    "PNG, 16 bits of gray with alpha": files.png(SIZE, 16, 4, deep(R, A)),
    "PNG, pixels in many parts": encoded(GRAY)[:33]
    + b"".join(files.chunk(b"IDAT", bytes([b])) for b in encoded(GRAY)[41:-16])
    + files.chunk(b"IEND", b""),
    **{
        f"TIFF {order}, {name}": files.tiff(order, files.tags(SIZE, *how), [data])
        for order in "<>"
        for name, how, data in [
            ("white is 0", (8, 0), R.tobytes()),
            ("1 bit, white is 0", (1, 0), files.packed(R >> 7, 1).tobytes()),
            ("4 bits", (4, 1), files.packed(R >> 4, 4).tobytes()),
            ("4 bits, white is 0", (4, 0), files.packed(R >> 4, 4).tobytes()),
            ("16 bits", (16, 1), deep(R, order=order).tobytes()),
            ("16 bits of colour", (16, 2, 3), deep(R, G, B, order=order).tobytes()),
            ("what is beside colours is alpha", (8, 2, 4), RGBA.tobytes()),
        ]
    },
    **{
        f"TIFF {order}, {name} in tiles": files.tiff(
            order,
            files.tags(SIZE, 8, photometric, samples.size // R.size, t322=32, t323=32),
            files.tiled(samples, 32),
        )
        for order in "<>"
        for name, photometric, samples in [("gray", 1, R), ("colour", 2, RGB)]
    },
    "TIFF, what is beside colours is nothing": files.tiff(
        "<", files.tags(SIZE, 8, 2, 4, t338=0), [RGBA.tobytes()]
    ),
    "TIFF, plane by plane": files.tiff(
        "<", files.tags(SIZE, 8, 2, 3, t284=2, t278=H), [p.tobytes() for p in (R, G, B)]
    ),
    "TIFF, strips": files.tiff(
        ">", files.tags(SIZE, 8, 2, 3, t278=5), [RGB[y : y + 5].tobytes() for y in range(0, H, 5)]
    ),
    "TIFF, differences": files.tiff(
        "<",
        files.tags(SIZE, 8, 2, 3, t317=2) | {259: ("H", [8])},
        [zlib.compress(np.diff(RGB, axis=1, prepend=np.zeros((H, 1, 3), np.uint8)).tobytes())],
    ),
    **{
        f"BMP, palette of {bits} bits, header of {header}": files.bmp(
            SIZE, bits, files.packed(R >> 8 - bits, bits), colours, header=header
        )
        for bits in (1, 4, 8)
        for header, colours in [
            (40, b"".join(bytes([b, 255 - b, b // 2, 0]) for b in range(0, 256, 256 >> bits))),
            (12, b"".join(bytes([b, 255 - b, b // 2]) for b in range(0, 256, 256 >> bits))),
        ]
    },
    "BMP of OS/2": files.bmp(SIZE, 24, RGB[..., ::-1].reshape(H, -1), header=12),
    "BMP, the fourth byte is nothing": files.bmp(SIZE, 32, RGBA[..., [2, 1, 0, 3]].reshape(H, -1)),
    "BMP, masks without alpha": files.bmp(
        SIZE, 32, (RGBA[..., [2, 1, 0, 3]] // [1, 1, 1, 256]).astype(np.uint8).reshape(H, -1),
        struct.pack("<III", 0xFF0000, 0xFF00, 0xFF), compression=3,
    ),
    "BMP, masks the other way": files.bmp(
        SIZE, 32, RGBA[..., [3, 2, 1, 0]].reshape(H, -1),
        struct.pack("<IIII", 0xFF000000, 0xFF0000, 0xFF00, 0xFF), compression=3, header=108,
    ),
    "BMP with alpha": files.bmp(
        SIZE, 32, RGBA[..., [2, 1, 0, 3]].reshape(H, -1),
        struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000), compression=3, header=124,
    ),
    "BMP in runs": files.bmp(
        SIZE, 8, files.run_lengths(R), b"".join(bytes([b, b, 9, 0]) for b in range(256)),
        compression=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_rare_variants_are_decoded_as_by_pillow(name: str) -> None:
    assert_same(decoded(BY_HAND[name]), seen(BY_HAND[name]))


@pytest.mark.parametrize(
    "masks", [b"", struct.pack("<III", 0xF800, 0x7E0, 0x1F)], ids=["555", "565"]
)
def test_a_bmp_of_16_bits_is_decoded_approximately(masks: bytes) -> None:
    """OpenCV does not extend 5 and 6 bits to 8: its white is 248."""
    low, red = (6, 11) if masks else (5, 10)
    values = (B >> 3) | (G >> 8 - low).astype("<u2") << 5 | (R >> 3).astype("<u2") << red
    body = files.bmp(
        SIZE, 16, values.astype("<u2").view(np.uint8), masks, compression=3 if masks else 0
    )
    assert_same(decoded(body), seen(body), within=7)


def test_a_bmp_may_be_stored_top_down() -> None:
    body = files.bmp((W, -H), 24, RGB[::-1, :, ::-1].reshape(H, -1))
    assert_same(decoded(body), RGB[..., ::-1])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_one_gray_level_of_a_png_may_be_transparent(bits: int) -> None:
    """Pillow itself uses a wrong level if there are 4 bits."""
    levels = R >> 8 - bits
    key = struct.pack(">H", levels[7, 9])
    body = files.png(SIZE, bits, 0, files.packed(levels, bits), files.chunk(b"tRNS", key))
    assert np.array_equal(decoded(body)[..., 3], np.where(levels == levels[7, 9], 0, 255))


def test_the_colours_of_a_tiff_with_premultiplied_alpha_are_divided_by_it() -> None:
    half = np.dstack([R // 2, G // 2, B // 2, np.full_like(R, 128)])
    body = files.tiff("<", files.tags(SIZE, 8, 2, 4, t338=1), [half.tobytes()])
    assert_same(decoded(body), seen(body), within=1)


def test_a_jpeg_may_use_ycck() -> None:
    body = bytearray(encoded(CMYK, "JPEG"))
    body[body.index(b"Adobe") + 11] = 2  # the transform: the CMY channels are now read as YCC
    assert_same(decoded(bytes(body)), seen(bytes(body)), within=1)


def test_data_after_a_jpeg_is_ignored() -> None:
    body = encoded(COLOUR, "JPEG")
    assert np.array_equal(decoded(body + b"a film"), decoded(body))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "image"),
    [
        ("PNG", GRAY), ("PNG", CLEAR), ("JPEG", GRAY), ("JPEG", COLOUR), ("WEBP", COLOUR),
        ("WEBP", CLEAR), ("TIFF", ONE), ("TIFF", GRAY), ("TIFF", GRAY_CLEAR), ("TIFF", CLEAR),
        ("TIFF", DEEP),
    ],
    ids=lambda value: getattr(value, "mode", value),
)  # fmt: skip
def test_images_are_rotated_upright(kind: str, image: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = encoded(image, kind, exif=exif, tiffinfo={274: orientation})
    expected = seen(body)
    assert_same(decoded(body), expected)
    small = small_png(body, LIMIT)
    assert small is None or np.array_equal(small, decoded(body))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_the_fast_path_gives_the_same_result(mode: str) -> None:
    body = encoded(CLEAR.convert(mode))
    small = small_png(body, LIMIT)
    assert small is not None
    assert np.array_equal(small, decoded(body))


@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"pHYs", b"sRGB"])
def test_the_fast_path_accepts_pngs_with_small_chunks(kind: bytes) -> None:
    data = {b"tEXt": b"Software\0x", b"gAMA": bytes(4), b"pHYs": bytes(9), b"sRGB": b"\0"}[kind]
    small = small_png(files.with_chunk(encoded(GRAY), kind, data), LIMIT)
    assert small is not None
    assert np.array_equal(small, R)


@pytest.mark.parametrize(
    "body",
    [
        encoded(seven(side=300)),
        encoded(DEEP),
        encoded(GRAY, transparency=5),
        encoded(GRAY, exif=b"Exif\0\0" + bytes(20)),
        files.with_chunk(encoded(GRAY), b"zTXt", b"k\0\0" + zlib.compress(bytes(99))),
        encoded(GRAY) + b"more",
        encoded(GRAY, "JPEG"),
    ],
    ids=["large", "16 bits", "one transparent gray", "EXIF", "compressed text", "trailing", "JPEG"],
)
def test_the_fast_path_leaves_all_other_files_to_the_decoder(body: bytes) -> None:
    assert small_png(body, LIMIT) is None or body.endswith(b"more")
    assert decoded(body).ndim in (2, 3)


def test_the_fast_path_rejects_a_damaged_png() -> None:
    body = bytearray(encoded(GRAY))
    body[60] ^= 1
    with pytest.raises(NotAnImage):
        small_png(bytes(body), LIMIT)
