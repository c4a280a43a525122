"""Neither what surrounds a sheet of paper changes the digit on it, nor a crop without margin."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from preprocessing.decoder import Raster
from preprocessing.digits.normalize import Gray, normalize_digit
from preprocessing.digits.sheet import without_surroundings
from tests.support.written import written_digits

SIDE, WRITTEN = 200, 140
PAPER, INK, BLACK = 255, 20, 0
DIGITS = list(written_digits()[0][:30])  # (28, 28), 0 = paper
MISSED = 1  # of DIGITS: a rotated or enlarged digit is not the same to a pixel

Change = Callable[[Raster], Raster]


def on_paper(digit: Gray, side: int = SIDE) -> Raster:
    """The digit in black on a white sheet (side, side)."""
    large = cv2.resize(digit, (WRITTEN, WRITTEN), interpolation=cv2.INTER_CUBIC)
    ink = np.clip(large.astype(np.float32) / 255 * 3 - 1, 0, 1)
    margin = (SIDE - WRITTEN) // 2
    sheet = np.pad(PAPER + (INK - PAPER) * ink, margin, constant_values=PAPER)
    small = cv2.resize(sheet, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(small), np.uint8)


def framed(width: int, level: int = BLACK) -> Change:
    def change(sheet: Raster) -> Raster:
        inner = sheet[width:-width, width:-width]
        return np.pad(inner, width, constant_values=level)

    return change


def rotated(degrees: float, corners: int = BLACK) -> Change:
    """As a scanner rotates a sheet: black where there was none."""

    def change(sheet: Raster) -> Raster:
        height, width = sheet.shape
        rotation = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
        result = cv2.warpAffine(sheet, rotation, (width, height), borderValue=corners)
        return np.asarray(result, np.uint8)

    return change


def with_bars(sides: tuple[tuple[int, int], tuple[int, int]]) -> Change:
    return lambda sheet: np.pad(sheet, sides, constant_values=BLACK)


def in_a_box(sheet: Raster) -> Raster:
    """A printed box on a form."""
    form = np.pad(sheet, 30, constant_values=PAPER)
    return np.asarray(cv2.rectangle(form, (30, 30), (230, 230), 60, 3), np.uint8)


def on_a_table(sheet: Raster) -> Raster:
    return np.pad(sheet, ((20, 30), (60, 20)), constant_values=90)


def negative(change: Change) -> Change:
    return lambda sheet: 255 - change(sheet)


SURROUNDINGS: dict[str, Change] = {
    "a black frame of 2 pixels": framed(2),
    "a black frame of 12 pixels": framed(12),
    "a white frame around white ink on black": negative(framed(6)),
    "black corners of a scan, rotated by 2 degrees": rotated(2),
    "bars above and below": with_bars(((40, 40), (0, 0))),
    "bars on both sides": with_bars(((0, 0), (40, 40))),
    "a printed box": in_a_box,
    "a printed box in a frame": lambda sheet: framed(5)(in_a_box(sheet)),
    "a table": on_a_table,
}


def likeness(pixels: Gray, other: Gray) -> float:
    """Correlation of two images, 1 = equal, up to a shift by a pixel."""
    moves = [(y, x) for y in (0, 1, -1) for x in (0, 1, -1)]
    shifted = (np.roll(pixels, move, (0, 1)) for move in moves)
    return max(float(np.corrcoef(each.ravel(), other.ravel())[0, 1]) for each in shifted)


def agreeing(change: Change, reference: Change, side: int = SIDE) -> int:
    """How many of the digits look the same to the network after either change."""
    sheets = [on_paper(digit, side) for digit in DIGITS]
    pairs = [(normalize_digit(change(each)), normalize_digit(reference(each))) for each in sheets]
    return sum(likeness(*pair) > 0.8 for pair in pairs)


@pytest.mark.parametrize("change", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_what_surrounds_a_sheet_is_removed(change: Change) -> None:
    assert agreeing(change, lambda sheet: sheet) >= len(DIGITS) - MISSED


@pytest.mark.parametrize("degrees", [4, -10])
def test_black_corners_of_a_rotated_scan_are_removed(degrees: int) -> None:
    assert agreeing(rotated(degrees), rotated(degrees, PAPER)) >= len(DIGITS) - MISSED


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_frame_around_a_small_image_is_removed(width: int) -> None:
    assert agreeing(framed(width), lambda sheet: sheet, side=64) >= len(DIGITS) - MISSED


def test_colours_of_the_sheet_are_kept() -> None:
    paper, ink = np.array([180, 200, 250]), np.array([120, 30, 20])
    part = (255 - on_paper(DIGITS[0]))[..., np.newaxis] / 255
    sheet = np.asarray(np.round(paper + (ink - paper) * part), np.uint8)
    around = np.pad(sheet, ((20, 20), (30, 30), (0, 0)), constant_values=BLACK)
    assert likeness(normalize_digit(around), normalize_digit(sheet)) > 0.9


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("scale", [1, 2, 5, 20])
def test_a_digit_cropped_to_its_ink_is_complete(scale: int, inverted: bool) -> None:
    complete = 0
    for digit in DIGITS:
        rows, columns = np.where(digit > 127)
        crop = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        size = crop.shape[1] * scale, crop.shape[0] * scale
        tight = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        wide = np.pad(tight, max(tight.shape))
        if not inverted:
            tight, wide = 255 - tight, 255 - wide
        complete += likeness(normalize_digit(tight), normalize_digit(wide)) > 0.8
    assert complete >= len(DIGITS) - MISSED


@pytest.mark.parametrize("lean", [0, 3, -3])
def test_a_one_that_fills_the_image_is_the_ink(lean: int) -> None:
    """Its border shows more ink than paper."""
    image = np.full((60, 16 + abs(lean)), PAPER, np.uint8)
    for row in range(60):
        left = 3 + max(0, lean) - round(lean * row / 60)
        image[row, left : left + 10] = INK
    pixels = normalize_digit(image)
    columns = np.flatnonzero(pixels.max(0))
    assert np.ptp(columns) < 8, "the paper on both sides of the 1 was taken for the digit"


def test_an_image_without_surroundings_is_not_changed() -> None:
    for digit in DIGITS:
        sheet = on_paper(digit)
        assert without_surroundings(sheet)[0] is sheet


def test_a_shadow_on_one_half_is_no_sheet() -> None:
    light = 0.5 + 0.5 / (1 + np.exp((np.arange(SIDE) - 90) / 8))
    sheet = np.asarray(np.round(on_paper(DIGITS[3]) * light), np.uint8)
    assert without_surroundings(sheet)[0] is sheet


@pytest.mark.parametrize("thick", [6, 14, 26])
def test_the_inside_of_a_0_is_no_sheet(thick: int) -> None:
    image = np.full((90, 90), PAPER, np.uint8)
    cv2.ellipse(image, (45, 45), (44 - thick // 2, 44 - thick // 2), 0, 0, 360, INK, thick)
    assert without_surroundings(image)[0] is image


def test_the_inside_of_a_small_bold_0_is_no_sheet() -> None:
    """A 0 whose inside is a quarter of it: a sheet with as much ink would have straight edges."""
    image = np.full((28, 28), PAPER, np.uint8)
    cv2.ellipse(image, (13, 14), (6, 6), 0, 0, 360, INK, 5)
    assert without_surroundings(image)[0] is image
