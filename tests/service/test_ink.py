"""Any picture of a digit becomes what MNIST looks like; what already does is left alone."""

import numpy as np
import pytest

from service.ink import Blank, Gray, are_mnist, as_mnist
from tests.service.pictures import seven
from training.embedded import written_digits

UPRIGHT = as_mnist(seven())  # what every picture of the same seven should come to


def box(pixels: Gray) -> tuple[int, int]:
    """Width and height of the ink."""
    rows, columns = np.where(pixels > 64)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def likeness(pixels: Gray, other: Gray) -> float:
    """Correlation of two pictures, 1 = the same."""
    return float(np.corrcoef(pixels.ravel(), other.ravel())[0, 1])


def test_pictures_in_mnist_form_pass_through_untouched() -> None:
    pixels, _ = written_digits()
    assert all(as_mnist(picture) is picture for picture in pixels)


def test_the_result_is_28_by_28_white_on_black_20_long_and_centred_by_mass() -> None:
    assert UPRIGHT.shape == (28, 28)
    assert UPRIGHT.dtype == np.uint8
    assert UPRIGHT[0].max() == UPRIGHT[:, 0].max() == 0
    assert UPRIGHT.max() == 255
    assert 19 <= max(box(UPRIGHT)) <= 20
    axis = np.arange(28)
    mass = UPRIGHT.sum(dtype=float)
    assert abs((UPRIGHT.sum(0) @ axis) / mass - 13.5) <= 0.6
    assert abs((UPRIGHT.sum(1) @ axis) / mass - 13.5) <= 0.6


@pytest.mark.parametrize(
    "picture",
    [
        seven(at=(0.02, 0.02), size=0.3, pen=0.03),
        seven(at=(0.6, 0.65), size=0.3, pen=0.03),
        seven(side=600),
        seven(side=56),
        seven(paper=0, ink=255),
        seven(paper=200, ink=60),
        seven(paper=40, ink=120),
        np.pad(seven(), ((0, 0), (300, 10)), constant_values=255),
        seven(side=28, at=(0.05, 0.05), paper=0, ink=255),
    ],
    ids=[
        "top left corner",
        "bottom right corner",
        "large",
        "small",
        "light on dark",
        "gray on gray",
        "low contrast, light on dark",
        "wide sheet",
        "28x28, off centre",
    ],
)
def test_place_size_colour_and_contrast_do_not_matter(picture: Gray) -> None:
    assert likeness(as_mnist(picture), UPRIGHT) > 0.8


def test_noise_on_the_paper_does_not_widen_the_digit() -> None:
    noisy = seven().astype(int) + np.random.default_rng(0).integers(-12, 1, (200, 200))
    assert likeness(as_mnist(np.clip(noisy, 0, 255).astype(np.uint8)), UPRIGHT) > 0.95


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_an_empty_sheet_is_blank(gray: int) -> None:
    with pytest.raises(Blank, match="nothing on it stands out"):
        as_mnist(np.full((100, 100), gray, np.uint8))


def test_a_noisy_empty_sheet_is_blank() -> None:
    noise = np.random.default_rng(0).integers(240, 256, (100, 100)).astype(np.uint8)
    with pytest.raises(Blank):
        as_mnist(noise)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 1000)])
def test_odd_shapes_end_in_pixels_or_in_blank(shape: tuple[int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    picture.flat[0] = 255
    try:
        assert as_mnist(picture).shape == (28, 28)
    except Blank:
        assert picture.size == 1


def test_what_is_known_as_mnist_at_a_glance_is_what_passes_through_unchanged() -> None:
    """Digits as they are, moved by a few pixels, faded, turned to dark on light, and with dirt."""
    pixels = written_digits()[0][:200]
    generator = np.random.default_rng(0)
    changed = [
        pixels,
        *(np.roll(pixels, move, (1, 2)) for move in [(1, 2), (3, 0), (0, -4), (5, 5)]),
        pixels // generator.integers(1, 12, (len(pixels), 1, 1), np.uint8),
        255 - pixels,
        np.maximum(pixels, (generator.random(pixels.shape) < 0.002) * np.uint8(200)),
    ]
    sheets = np.concatenate(changed).astype(np.uint8)
    known = are_mnist(sheets)
    assert known[: len(pixels)].mean() > 0.9
    assert 0.1 < known.mean() < 0.9
    for sheet in sheets[known]:
        assert as_mnist(sheet) is sheet


def test_an_empty_sheet_is_not_known_as_mnist() -> None:
    assert are_mnist(np.zeros((3, 28, 28), np.uint8)).tolist() == [False] * 3
