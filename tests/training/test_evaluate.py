"""The metrics of an evaluation match their definitions."""

import numpy as np
import pytest
import torch

from training.corruptions import CORRUPTIONS, corrupted
from training.evaluate import Judged, calibration_error, fit_temperature, reliability


@pytest.fixture
def judged() -> Judged:
    """Six predictions of three classes: a 0 is once predicted as 1, a 2 twice as 1."""
    answers, labels = [0, 1, 1, 1, 1, 2], [0, 0, 1, 2, 2, 2]
    logits = torch.nn.functional.one_hot(torch.tensor(answers), 3).float() * 4
    return Judged(logits, torch.tensor(labels), 2.0, ("a", "b", "c"))


def test_precision_recall_and_support_are_those_of_each_class(judged: Judged) -> None:
    found = judged.evaluation()
    assert found.accuracy == pytest.approx(3 / 6)
    rows = {row.label: row for row in found.per_class}
    assert (rows["a"].precision, rows["a"].recall) == (1.0, 0.5)
    assert (rows["b"].precision, rows["b"].recall) == (0.25, 1.0)
    assert rows["c"].f1 == pytest.approx(0.5)
    assert [row.support for row in found.per_class] == [2, 1, 3]


def test_confusions_are_sorted_by_count(judged: Judged) -> None:
    assert judged.confusions().tolist() == [[1, 1, 0], [0, 1, 0], [0, 2, 1]]
    assert judged.commonest_confusions() == [
        {"label": "c", "taken_for": "b", "times": 2},
        {"label": "a", "taken_for": "b", "times": 1},
    ]


def test_the_temperature_calibrates_an_overconfident_network() -> None:
    random = torch.Generator().manual_seed(0)
    honest = torch.randn(20_000, 10, generator=random) * 2
    labels = torch.multinomial(torch.softmax(honest, 1), 1, generator=random)[:, 0]
    temperature = fit_temperature(honest * 3, labels)
    assert temperature == pytest.approx(3, rel=0.05)
    assert calibration_error(honest * 3 / temperature, labels) < 0.01
    assert calibration_error(honest * 3, labels) > 0.1


def test_a_network_without_errors_gets_a_finite_temperature() -> None:
    labels = torch.arange(10)
    temperature = fit_temperature(torch.eye(10) * 5, labels)
    assert np.isfinite(temperature)
    assert temperature > 0


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    logits = torch.tensor([[np.log(4.0), 0.0]] * 10)  # 80 % confidence in the first of two classes
    labels = torch.tensor([0] * 5 + [1] * 5)  # half of the predictions are correct
    assert calibration_error(logits, labels) == pytest.approx(0.3, abs=1e-6)
    (bar,) = reliability(logits, labels)
    assert (bar.accuracy, bar.share, bar.count) == (0.5, 1.0, 10)


# ---- corruptions -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ink() -> torch.Tensor:
    from training.embedded import written_digits

    return torch.tensor(written_digits()[0][:20]).unsqueeze(1) / 255


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_is_deterministic(name: str, ink: torch.Tensor) -> None:
    once = corrupted(name, ink)
    assert once.shape == ink.shape
    assert once.min() >= 0
    assert once.max() <= 1
    assert (once - ink).abs().mean() > 0.005
    assert torch.equal(once, corrupted(name, ink))


def test_the_corruptions_are_those_of_mnist_c() -> None:
    assert set(CORRUPTIONS) == {
        "shot noise", "impulse noise", "glass blur", "motion blur", "shear", "scale", "rotate",
        "brightness", "translate", "stripe", "spatter", "dotted line", "zigzag", "fog", "edges",
    }  # fmt: skip


def test_brightness_raises_the_background_and_keeps_full_ink(ink: torch.Tensor) -> None:
    bright = corrupted("brightness", ink)
    assert bright.min() == 0.5
    assert torch.equal(bright == 1, ink >= 0.5)


def test_a_stripe_inverts_both_sides_only(ink: torch.Tensor) -> None:
    striped = corrupted("stripe", ink)
    assert torch.equal(striped[..., 7:21], ink[..., 7:21])
    assert torch.equal(striped[..., :7], 1 - ink[..., :7])


def test_edges_are_outlines(ink: torch.Tensor) -> None:
    outlines = corrupted("edges", ink)
    assert set(outlines.flatten().tolist()) == {0.0, 1.0}
    inside = (torch.nn.functional.avg_pool2d(ink, 3, 1, 1) > 0.99) & (outlines == 1)
    assert inside.sum() == 0  # no edge inside uniform ink


def test_twenty_thousand_classes_have_no_table_of_confusions() -> None:
    names = [str(number) for number in range(20_000)]
    labels = torch.tensor([5, 19_999, 7, 7])
    logits = torch.nn.functional.one_hot(torch.tensor([5, 3, 8, 8]), 20_000).float()
    measured = Judged(logits, labels, 1.0, names).measured()
    assert measured["confusion_matrix"] is None
    assert measured["commonest_confusions"] == [
        {"label": "7", "taken_for": "8", "times": 2},
        {"label": "19999", "taken_for": "3", "times": 1},
    ]
