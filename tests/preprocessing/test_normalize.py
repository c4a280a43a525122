"""Any image of a digit is converted to the form of MNIST; images in that form are unchanged."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.drawings.pens import drawn
from preprocessing.decoder import Raster, decode
from preprocessing.digits.background import resized
from preprocessing.digits.normalize import Blank, Gray, InkMode, are_normalized, normalize_digit
from preprocessing.digits.stroke import stroke_width
from tests.support.pictures import encoded, seven
from tests.support.written import written_digits

DIGITS = written_digits()[0]  # (1797, 28, 28)
UPRIGHT = normalize_digit(seven())  # the expected result for every image of the same seven
SIDE = 200
COVERED = (255 - seven(side=SIDE)) / np.float32(255)  # by the pen, (200, 200)


def box(pixels: Gray) -> tuple[int, int]:
    """Width and height of the ink."""
    rows, columns = np.where(pixels > 0)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def likeness(pixels: Gray, other: Gray) -> float:
    """Correlation of two images, 1 = equal, up to a shift from rounding to whole pixels."""
    moves = [(y, x) for y in (0, 1, -1) for x in (0, 1, -1)]
    shifted = (np.roll(pixels, move, (0, 1)) for move in moves)
    return max(float(np.corrcoef(each.ravel(), other.ravel())[0, 1]) for each in shifted)


def width(pixels: Gray) -> float:
    """The width of the strokes in pixels, measured as for MNIST: with four samples per pixel."""
    return stroke_width(resized(pixels, 28 * 4)) / 4


def coloured(paper: tuple[int, int, int], ink: tuple[int, int, int]) -> Raster:
    """A seven in colours, BGR."""
    part = COVERED[..., np.newaxis]
    seen = np.array(paper) * (1 - part) + np.array(ink) * part
    return np.asarray(np.round(seen), np.uint8)


def transparent(ink: int) -> Raster:
    """A seven on a transparent background: only alpha has its shape."""
    raster = np.full((SIDE, SIDE, 4), ink, np.uint8)
    raster[..., 3] = np.round(COVERED * 255)
    return raster


def lit(light: np.ndarray) -> Raster:
    """A dark seven on white paper under a light (h, w) or (w,), 1 = full."""
    return np.asarray(np.round((255 - 200 * COVERED) * light), np.uint8)


def centre(pixels: Gray) -> tuple[float, float]:
    axis, mass = np.arange(28), pixels.sum(dtype=float)
    return float(pixels.sum(0) @ axis / mass), float(pixels.sum(1) @ axis / mass)


def grain(deviation: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, (SIDE, SIDE))


def noisy(deviation: float) -> Raster:
    return np.asarray(np.clip(230 - 170 * COVERED + grain(deviation), 0, 255), np.uint8)


def jpeg(raster: Raster, quality: int) -> Raster:
    body = cv2.imencode(".jpg", raster, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(body, cv2.IMREAD_UNCHANGED), np.uint8)


def with_specks() -> Raster:
    picture = seven().copy()
    for x, y in ((5, 5), (190, 8), (10, 190), (193, 193), (100, 4)):
        picture[y : y + 2, x : x + 2] = 0
    return picture


def lined(step: int, *, both: bool) -> Raster:
    picture = seven(paper=240, ink=20).copy()
    picture[::step] = np.minimum(picture[::step], 185)
    if both:
        picture[:, ::step] = np.minimum(picture[:, ::step], 185)
    return picture


def with_a_strip_of_table() -> Raster:
    picture = seven().copy()
    picture[-16:] = 60
    return picture


ACROSS = np.linspace(0, 1, SIDE)
SHADOW = 0.5 + 0.5 / (1 + np.exp((np.hypot(*np.mgrid[-60:140, -90:110]) - 70) / 4))


# ---- unchanged images --------------------------------------------------------------------------


def test_images_in_the_form_of_mnist_are_returned_unchanged() -> None:
    assert all(normalize_digit(picture) is picture for picture in DIGITS)


def test_equal_channels_and_opaque_alpha_do_not_matter() -> None:
    for picture in DIGITS[:20]:
        three = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        four = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGRA)
        assert np.array_equal(normalize_digit(np.asarray(three, np.uint8)), picture)
        assert np.array_equal(normalize_digit(np.asarray(four, np.uint8)), picture)


def test_the_quick_check_finds_the_images_that_are_returned_unchanged() -> None:
    """Digits unchanged, shifted by a few pixels, faded, inverted, and with specks."""
    pixels = DIGITS[:200]
    generator = np.random.default_rng(0)
    changed = [
        pixels,
        *(np.roll(pixels, move, (1, 2)) for move in [(1, 2), (3, 0), (0, -4), (5, 5)]),
        pixels // generator.integers(1, 12, (len(pixels), 1, 1), np.uint8),
        255 - pixels,
        np.maximum(pixels, (generator.random(pixels.shape) < 0.002) * np.uint8(200)),
    ]
    sheets = np.concatenate(changed).astype(np.uint8)
    known = np.array(are_normalized(sheets))
    alone = [are_normalized(sheets[at : at + 1])[0] for at in range(len(sheets))]
    assert alone == known.tolist()
    assert known[: len(pixels)].mean() > 0.9
    assert 0.1 < known.mean() < 0.9
    inked = [*range(len(pixels)), *range(len(sheets) - len(pixels), len(sheets))]
    assert sheets[known][:, 0].any(), "some have ink on their border"
    for index in {*inked, *np.flatnonzero(known).tolist()}:
        sheet = sheets[index]
        assert (normalize_digit(sheet) is sheet) == known[index]


def test_an_empty_image_fails_the_quick_check() -> None:
    for count in (1, 3, 300):
        assert not any(are_normalized(np.zeros((count, 28, 28), np.uint8)))


# ---- normalized images -------------------------------------------------------------------------


def test_the_result_is_28_by_28_white_on_black_20_long_and_centred() -> None:
    assert UPRIGHT.shape == (28, 28)
    assert UPRIGHT.dtype == np.uint8
    assert UPRIGHT[0].max() == UPRIGHT[:, 0].max() == 0
    assert UPRIGHT.max() > 240
    assert 19 <= max(box(UPRIGHT)) <= 20
    assert centre(UPRIGHT) == pytest.approx((14, 14), abs=0.6)


ANY_PICTURE: dict[str, Callable[[], Raster]] = {
    "top left corner": lambda: seven(at=(0.02, 0.02), size=0.3, pen=0.03),
    "bottom right corner": lambda: seven(at=(0.6, 0.65), size=0.3, pen=0.03),
    "touching the border": lambda: seven(at=(0.0, 0.03), pen=0.05),
    "large": lambda: seven(side=600),
    "small": lambda: seven(side=56),
    "a bitmap of 16x16": lambda: seven(side=16, at=(0.2, 0.1), size=0.8, pen=0.1),
    "thin pen": lambda: seven(side=400, pen=0.005),
    "thick pen": lambda: seven(at=(0.25, 0.25), pen=0.1),
    "light on dark": lambda: seven(paper=0, ink=255),
    "gray on gray": lambda: seven(paper=200, ink=60),
    "low contrast, light on dark": lambda: seven(paper=40, ink=120),
    "wide sheet": lambda: np.pad(seven(), ((0, 0), (300, 10)), constant_values=255),
    "28x28, off centre": lambda: seven(side=28, at=(0.05, 0.05), paper=0, ink=255),
    "blue on white": lambda: coloured((250, 250, 250), (170, 50, 20)),
    "yellow on black": lambda: coloured((10, 10, 10), (60, 220, 250)),
    "red on green, equally light": lambda: coloured((60, 134, 60), (60, 60, 205)),
    "black on transparent": lambda: transparent(0),
    "white on transparent": lambda: transparent(255),
    "opaque paper with transparent corners": lambda: sticker(),
    "light from the left": lambda: lit(1 - 0.6 * ACROSS),
    "a shadow across it": lambda: lit(SHADOW),
    "noise": lambda: noisy(12),
    "JPEG of low quality": lambda: jpeg(noisy(4), 50),
    "specks in every corner": with_specks,
    "lined paper": lambda: lined(25, both=False),
    "squared paper": lambda: lined(20, both=True),
    "the edge of the table": with_a_strip_of_table,
}


def sticker() -> Raster:
    raster = cv2.cvtColor(seven(), cv2.COLOR_GRAY2BGRA)
    for edge in (np.s_[:8], np.s_[-8:], np.s_[:, :8], np.s_[:, -8:]):
        raster[edge] = 0
    return np.asarray(raster, np.uint8)


@pytest.mark.parametrize("picture", ANY_PICTURE.values(), ids=ANY_PICTURE.keys())
def test_the_same_digit_always_gives_the_same_result(picture: Callable[[], Raster]) -> None:
    assert likeness(normalize_digit(picture()), UPRIGHT) > 0.8


def test_a_digit_in_two_parts_is_kept_complete() -> None:
    picture = seven().copy()
    picture[75:85] = 255  # a gap in the stroke
    assert box(normalize_digit(picture)) == pytest.approx(box(UPRIGHT), abs=1)


def test_stroke_widths_are_moved_towards_those_of_mnist() -> None:
    thin, thick = (normalize_digit(seven(side=400, pen=pen)) for pen in (0.005, 0.13))
    assert 1.5 < width(thin) <= width(UPRIGHT) < width(thick) < 5.0


def test_the_results_for_sixty_pens_resemble_mnist() -> None:
    generator = np.random.default_rng(5)
    pictures = [normalize_digit(drawn(digit, generator).raster) for digit in DIGITS[:60]]
    lengths = np.array([max(box(picture)) for picture in pictures])
    widths = np.array([width(picture) for picture in pictures])
    assert (abs(lengths - 20) <= 1).all()
    assert np.allclose([centre(picture) for picture in pictures], 14, atol=1.0)
    assert ((widths > 1.4) & (widths < 5.5)).mean() > 0.95  # the 1st and 99th percentiles of MNIST


# ---- faint and pale ink, alpha, bitmaps --------------------------------------------------------


@pytest.mark.parametrize("levels", [31, 16, 10])
def test_ink_that_can_hardly_be_seen_is_found_on_clean_paper(levels: int) -> None:
    faint = np.asarray(np.round(255 - levels * COVERED), np.uint8)
    assert likeness(normalize_digit(faint), UPRIGHT) > 0.9


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_16_bit_files_may_use_fewer_bits(bits: int) -> None:
    levels = np.asarray(np.round((1 - COVERED) * (2**bits - 1)), np.uint16)
    png = cv2.imencode(".png", levels)[1].tobytes()
    assert likeness(normalize_digit(decode(png, max_pixels=10**6)), UPRIGHT) > 0.9


def test_a_pale_stroke_beside_a_strong_one_belongs_to_the_digit() -> None:
    fading = np.linspace(1, 0.28, SIDE)[:, np.newaxis]  # towards its foot
    pale = np.asarray(np.round(255 - 235 * COVERED * fading), np.uint8)
    assert box(normalize_digit(pale)) == box(UPRIGHT)


def test_a_few_transparent_pixels_do_not_turn_the_sheet_into_ink() -> None:
    """A thin pen on a screenshot whose last column is half transparent."""
    thin = cv2.erode(np.round(COVERED * 255), np.ones((5, 5)))
    gray = np.asarray(np.subtract(255, thin), np.uint8)
    opaque = cv2.merge([gray, gray, gray, np.full_like(gray, 255)])
    for part in (np.s_[0, 0], np.s_[:, -1]):
        screenshot = np.asarray(opaque, np.uint8).copy()
        screenshot[(*part, 3)] = 120
        assert likeness(normalize_digit(screenshot), normalize_digit(gray)) > 0.95


def test_a_sheet_on_a_transparent_canvas_is_no_ink() -> None:
    sheet = coloured((180, 200, 250), (40, 20, 20))
    canvas = np.zeros((400, 400, 4), np.uint8)
    canvas[60 : 60 + SIDE, 90 : 90 + SIDE] = np.dstack([sheet, np.full((SIDE, SIDE), 255)])
    assert likeness(normalize_digit(canvas), UPRIGHT) > 0.9
    canvas[:9, :9, 3] = 255  # a dot elsewhere
    assert likeness(normalize_digit(canvas), UPRIGHT) > 0.9


def test_a_hairline_of_28x28_becomes_a_pen_s_stroke() -> None:
    """It is centred, and 20 pixels long, but MNIST's strokes are wider and have soft edges."""
    hairline = np.zeros((28, 28), np.uint8)
    cv2.polylines(hairline, [np.array([[7, 4], [20, 4], [11, 23]])], False, 255)
    assert not are_normalized(hairline[np.newaxis])[0]
    assert width(normalize_digit(hairline)) > 1.5 * width(hairline)


def test_a_fat_pen_of_28x28_becomes_a_pen_s_stroke() -> None:
    fat = np.zeros((28, 28), np.uint8)
    cv2.polylines(fat, [np.array([[8, 6], [20, 6], [12, 21]])], False, 255, thickness=6)
    assert not are_normalized(fat[np.newaxis])[0]
    assert width(normalize_digit(fat)) < 0.9 * width(fat)


# ---- blank images ------------------------------------------------------------------------------


@pytest.mark.parametrize("gray", [0, 128, 255])
@pytest.mark.parametrize("ink", ["auto", "on"])
def test_an_empty_image_is_blank(gray: int, ink: InkMode) -> None:
    for shape in ((28, 28), (100, 100), (100, 100, 3)):
        with pytest.raises(Blank, match="nothing on it stands out"):
            normalize_digit(np.full(shape, gray, np.uint8), ink)


@pytest.mark.parametrize("deviation", [2, 6, 12])
def test_a_noisy_empty_image_is_blank(deviation: float) -> None:
    with pytest.raises(Blank):
        normalize_digit(np.clip(200 + grain(deviation), 0, 255).astype(np.uint8))


def test_an_unused_canvas_is_blank() -> None:
    with pytest.raises(Blank, match="all of it is transparent"):
        normalize_digit(np.zeros((280, 280, 4), np.uint8))


# ---- modes on and off --------------------------------------------------------------------------


def test_on_normalizes_mnist_too_with_little_change() -> None:
    for picture in DIGITS[:100]:
        prepared = normalize_digit(picture, "on")
        assert likeness(prepared, picture) > 0.85


def test_off_uses_the_image_unchanged() -> None:
    sheet = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    assert np.array_equal(normalize_digit(sheet, "off"), sheet)
    assert normalize_digit(np.zeros((50, 50), np.uint8), "off").tolist() == [[0] * 28] * 28
    dark_on_light = normalize_digit(seven(), "off")
    assert dark_on_light[0, 0] == 255  # not inverted
    small = normalize_digit(seven(at=(0.0, 0.0), size=0.3, paper=0, ink=255), "off")
    assert small[14:].max() == 0  # neither moved nor enlarged
    assert normalize_digit(transparent(255), "off")[0, 0] == 0


# ---- arbitrary images --------------------------------------------------------------------------


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([None, 3, 4])),
    st.sampled_from(["auto", "on", "off"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 16, 128]),
)
@settings(max_examples=150, deadline=None)
def test_any_raster_gives_pixels_or_is_blank(
    shape: tuple[int, int, int | None], ink: InkMode, seed: int, step: int
) -> None:
    sizes = [size for size in shape if size is not None]
    raster = np.random.default_rng(seed).integers(0, 256, sizes, np.uint8) // step * step
    try:
        pixels = normalize_digit(raster.astype(np.uint8), ink)
    except Blank:
        assert ink != "off"
    else:
        assert pixels.shape == (28, 28)
        assert pixels.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 5000, 3), (5000, 1, 4), (3, 1000)])
def test_the_longest_strip_gives_pixels_or_is_blank(shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.uint8)
    picture.reshape(-1)[:40] = 255
    assert normalize_digit(picture).shape == (28, 28)


def test_a_large_photo_is_reduced_first() -> None:
    """A photo of 16 million pixels in colour, with uneven light."""
    picture = np.asarray(cv2.resize(lit(1 - 0.5 * ACROSS), (4000, 4000)), np.uint8)
    raster = decode(encoded(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), "JPEG"), max_pixels=2**24)
    assert raster.shape == (250, 250, 3)
    assert likeness(normalize_digit(raster), UPRIGHT) > 0.8
