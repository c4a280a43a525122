"""Statistics of prepared images: what they measure, and in which units."""

import cv2
import numpy as np
import pytest

from contract.card import DigitPreparation, PhotoPreparation
from preprocessing.digits.stroke import stroke_width
from preprocessing.statistics import Pixels, counts_by_bin, statistics_of, thinned
from tests.fixtures import Judged

DIGIT = DigitPreparation()
PHOTO = PhotoPreparation(resize=256, size=(224, 224))


def bar(width: int) -> Pixels:
    """A vertical bar of ink, 20 long: (28, 28)."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 10 : 10 + width] = 255
    return pixels


def test_the_ink_of_a_digit_is_a_share_of_the_image() -> None:
    found = statistics_of(np.stack([bar(1), bar(4)]), DIGIT)
    assert found["ink_share"] == pytest.approx([20 / 784, 80 / 784])


def test_the_stroke_width_is_that_of_the_distance_to_the_edge(judged: Judged) -> None:
    """Which takes a hundred times as long."""
    measured = statistics_of(judged.pixels, DIGIT)["stroke_width"]
    fine = [cv2.resize(each, None, fx=4, fy=4) for each in judged.pixels]
    expected = [stroke_width(np.asarray(each, np.uint8)) / 4 for each in fine]
    assert np.corrcoef(measured, expected)[0, 1] > 0.95
    assert np.median(measured) == pytest.approx(np.median(expected), rel=0.25)


def test_a_blank_image_has_a_width_of_0() -> None:
    found = statistics_of(np.zeros((1, 28, 28), np.uint8), DIGIT)
    assert [float(values[0]) for values in found.values()] == [0, 0]


@pytest.mark.parametrize("side", [32, 224, 500])
def test_a_photograph_has_brightness_contrast_and_colour(side: int) -> None:
    pixels = np.zeros((3, side, side, 3), np.uint8)
    pixels[1, :, side // 2 :] = 255  # black beside white
    pixels[2, ...] = (255, 0, 0)
    found = statistics_of(pixels, PHOTO)
    assert found["brightness"] == pytest.approx([0, 0.5, 0.3], abs=0.02)
    assert found["contrast"] == pytest.approx([0, 0.5, 0], abs=0.02)
    assert found["colour"] == pytest.approx([0, 0, 1], abs=0.02)


def test_gray_photographs_have_no_colour() -> None:
    assert {*statistics_of(np.zeros((2, 64, 48), np.uint8), PHOTO)} == {"brightness", "contrast"}


def test_thinned_images_have_the_same_statistics() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 300, 200, 3), np.uint8)
    thin = thinned(pixels)
    assert thin.nbytes < pixels.nbytes / 8
    whole, again = statistics_of(pixels, PHOTO), statistics_of(thin, PHOTO)
    for name, values in whole.items():
        assert again[name].tolist() == values.tolist()


def test_the_statistics_of_an_image_do_not_depend_on_its_batch(judged: Judged) -> None:
    together = statistics_of(judged.pixels, DIGIT)
    for name, values in together.items():
        alone = [statistics_of(image[None], DIGIT)[name][0] for image in judged.pixels]
        assert values.tolist() == alone


def test_a_bin_includes_its_upper_bound() -> None:
    assert counts_by_bin(np.array([0, 1, 1.5, 2, 3]), (1, 2)) == [2, 2, 1]
    assert counts_by_bin(np.array([0, 1]), ()) == [2]
