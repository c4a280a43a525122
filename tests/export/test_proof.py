"""The proof accepts the same model, measures what it accepts, and refuses any other."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.proof import LosesTooMuch, Predictions, ProofFailed, prove

LOGITS = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], np.float32)
LABELS = np.array([0, 1, 1], np.uint8)


def answers(logits: NDArray[np.float32]) -> Predictions:
    return Predictions(logits, torch.softmax(torch.from_numpy(logits), 1).numpy())


def test_it_measures_what_it_accepts() -> None:
    close = LOGITS + np.float32(2e-5)
    measured = prove("model.x", answers(close), answers(LOGITS), LABELS)
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["different_answers"] == 0
    assert measured["largest_difference"] == pytest.approx(2e-5, rel=0.05)
    assert measured["mean_difference"] == pytest.approx(2e-5, rel=0.05)


@pytest.mark.parametrize(
    ("logits", "complaint", "offending"),
    [
        (LOGITS[:, ::-1].copy(), r"model\.x predicts 3 of 3 test images differently", [0, 1, 2]),
        (
            LOGITS + np.array([[0], [2e-4], [0]], np.float32),
            r"differs from PyTorch by up to 2\.00e-04 in a logit \(test image 1\)",
            [1],
        ),
        (
            np.array([[2, 1], [0, np.nan], [1, 0]], np.float32),
            "probabilities that are not the softmax of logits, by nan",
            [1],
        ),
    ],
    ids=["other answers", "other logits", "NaN"],
)
def test_what_is_not_the_same_model_fails_with_the_pictures_it_failed_on(
    logits: NDArray[np.float32], complaint: str, offending: list[int]
) -> None:
    with pytest.raises(ProofFailed, match=complaint) as failed:
        prove("model.x", answers(logits), answers(LOGITS), LABELS)
    assert failed.value.offending.tolist() == offending


def test_probabilities_that_are_no_softmax_fail() -> None:
    wrong = Predictions(LOGITS, np.full_like(LOGITS, 0.5))
    with pytest.raises(ProofFailed, match="not the softmax"):
        prove("model.x", wrong, answers(LOGITS), LABELS, may_lose=1)


def wrong_of(count: int, wrongs: int = 1) -> tuple[Predictions, Predictions, NDArray[np.uint8]]:
    """A model that gets so many pictures wrong, one that gets all right, the labels."""
    right = np.tile(np.array([[2.0, 0.0]], np.float32), (count, 1))
    wrong = right.copy()
    wrong[:wrongs] = [0, 2]
    return answers(wrong), answers(right), np.zeros(count, np.uint8)


def test_less_than_float32_may_lose_a_little_and_what_it_lost_is_told() -> None:
    measured = prove("model.x", *wrong_of(4000, 2), may_lose=0.0005)
    assert measured["accuracy"] == 0.9995
    assert measured["different_answers"] == 2
    assert measured["largest_difference"] == 2


def test_less_than_float32_that_loses_more_says_how_much() -> None:
    said = r"99\.95%, .* 100\.00%: a loss of 0\.05 points, more than the 0\.05 allowed"
    with pytest.raises(LosesTooMuch, match=said):
        prove("model.x", *wrong_of(3999, 2), may_lose=0.0005)


@pytest.mark.parametrize("may_lose", [0.0005, 0.0015])
def test_of_few_pictures_one_may_be_lost_and_not_two(may_lose: float) -> None:
    """Which one a rounding turns depends on the processor."""
    assert prove("model.x", *wrong_of(200), may_lose=may_lose)["accuracy"] == 0.995
    said = "is 99.00%, .*: a loss of 1.00 points, more than the 0.50 allowed"
    with pytest.raises(LosesTooMuch, match=said):
        prove("model.x", *wrong_of(200, 2), may_lose=may_lose)


@pytest.mark.parametrize(("may_lose", "pictures"), [(0.0005, 5), (0.0015, 15)])
def test_of_as_many_as_mnist_has_it_is_the_tolerance_that_counts(
    may_lose: float, pictures: int
) -> None:
    prove("model.x", *wrong_of(10_000, pictures), may_lose=may_lose)
    with pytest.raises(LosesTooMuch):
        prove("model.x", *wrong_of(10_000, pictures + 1), may_lose=may_lose)


def test_being_right_more_often_is_no_loss() -> None:
    better, worse, labels = wrong_of(10)
    assert prove("model.x", worse, better, labels, may_lose=0)["accuracy"] == 1


def test_less_than_float32_that_overflows_loses_too_much() -> None:
    overflowed = np.where(LOGITS == 3, np.inf, LOGITS).astype(np.float32)
    with pytest.raises(LosesTooMuch, match="not finite"):
        prove("model.x", answers(overflowed), answers(LOGITS), LABELS, may_lose=1)
