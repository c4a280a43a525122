"""The card describes the test images: what the images of requests are compared with."""

from pathlib import Path

import numpy as np
import pytest

from contract.card import MOST_BINS, DigitPreparation, Histogram, StretchPreparation
from contract.version import Version
from export.inputs import inputs_of
from export.proof import Predictions
from preprocessing.statistics import counts_by_bin, statistics_of
from tests.export.foreign import SIDE, Tiny, imported
from tests.export.test_importing import images_of, noise
from training.run import Run


def certain(classes: int, images: int) -> Predictions:
    """One class after the other, each with probability 1."""
    rows = np.eye(classes, dtype=np.float32)[np.arange(images) % classes]
    return Predictions(rows, rows)


def test_the_histograms_are_those_of_the_test_set(version: Version, run: Run) -> None:
    pixels, _ = run.test_set()
    inputs = version.card.inputs
    assert inputs is not None
    assert {*inputs} == {"ink_share", "stroke_width", "confidence", "label"}
    for name, values in statistics_of(pixels, DigitPreparation()).items():
        counts = counts_by_bin(values, inputs[name].edges)
        assert inputs[name].shares == pytest.approx(np.array(counts) / len(pixels))
    for histogram in inputs.values():
        assert sum(histogram.shares) == pytest.approx(1)


def test_the_bins_of_a_statistic_have_about_as_many_images(version: Version) -> None:
    assert version.card.inputs is not None
    for name in ("ink_share", "stroke_width"):
        shares = version.card.inputs[name].shares
        assert len(shares) == 10
        assert 0.05 < min(shares) < max(shares) < 0.15


def test_photographs_have_statistics_of_their_own() -> None:
    photos = noise(400, 32, 32, 3)
    inputs = inputs_of(photos, certain(3, 400), StretchPreparation(size=(32, 32)))
    assert inputs is not None
    assert {*inputs} == {"brightness", "contrast", "colour", "confidence", "label"}


def test_few_images_have_few_bins_or_none() -> None:
    def bins(images: int) -> dict[str, int]:
        inputs = inputs_of(noise(images, 28, 28), certain(3, images), DigitPreparation())
        return {name: len(each.shares) for name, each in (inputs or {}).items()}

    assert bins(39) == {}
    assert bins(60) == {"ink_share": 3, "stroke_width": 3, "label": 3}
    assert bins(180) == {"ink_share": 9, "stroke_width": 9, "label": 3, "confidence": 9}


def test_images_that_are_all_alike_have_one_bin_and_what_is_above() -> None:
    blank = np.zeros((200, 28, 28), np.uint8)
    inputs = inputs_of(blank, certain(2, 200), DigitPreparation())
    assert inputs is not None
    assert inputs["ink_share"] == Histogram(edges=(0,), shares=(1, 0))


def test_beyond_100_classes_the_others_share_a_bin() -> None:
    images = 20 * MOST_BINS
    blank = np.zeros((images, 28, 28), np.uint8)
    inputs = inputs_of(blank, certain(202, images), DigitPreparation())
    assert inputs is not None
    shares = inputs["label"].shares
    assert len(shares) == MOST_BINS
    assert shares[-1] == pytest.approx(102 / 202, abs=0.01)


def test_an_imported_model_is_described_by_its_labelled_images(
    labels: Path, tmp_path: Path
) -> None:
    path = Tiny().save(tmp_path)
    assert imported(labels, path).card.inputs is None
    pixels = noise(40, SIDE, SIDE + 2, 3)
    folder = images_of(tmp_path / "images", np.zeros(40, np.int64), pixels)
    card = imported(labels, path, "--preparation", "stretch", "--images", folder).card
    assert card.inputs is not None
    assert {*card.inputs} == {"brightness", "contrast", "colour"}
    assert card.inputs["brightness"].shares == pytest.approx((0.5, 0.5))
