"""The proof accepts an equivalent model, measures it, and rejects any other."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.proof import LosesTooMuch, Predictions, ProofFailed, prove

LOGITS = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], np.float32)
LABELS = np.array([0, 1, 1], np.uint8)


def answers(logits: NDArray[np.float32]) -> Predictions:
    return Predictions(logits, torch.softmax(torch.from_numpy(logits), 1).numpy())


def test_an_accepted_model_is_measured() -> None:
    close = LOGITS + np.float32(2e-5)
    measured = prove("model.x", answers(close), answers(LOGITS), LABELS)
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["different_answers"] == 0
    assert measured["largest_difference"] == pytest.approx(2e-5, rel=0.05)
    assert measured["mean_difference"] == pytest.approx(2e-5, rel=0.05)


@pytest.mark.parametrize(
    ("logits", "message", "offending"),
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
def test_a_different_model_fails_with_the_offending_images(
    logits: NDArray[np.float32], message: str, offending: list[int]
) -> None:
    with pytest.raises(ProofFailed, match=message) as failed:
        prove("model.x", answers(logits), answers(LOGITS), LABELS)
    assert failed.value.offending.tolist() == offending


def test_probabilities_other_than_the_softmax_fail() -> None:
    wrong = Predictions(LOGITS, np.full_like(LOGITS, 0.5))
    with pytest.raises(ProofFailed, match="not the softmax"):
        prove("model.x", wrong, answers(LOGITS), LABELS, may_lose=1)


def wrong_of(count: int, wrongs: int = 1) -> tuple[Predictions, Predictions, NDArray[np.uint8]]:
    """A model that misclassifies `wrongs` images, one that is always right, and the labels."""
    right = np.tile(np.array([[2.0, 0.0]], np.float32), (count, 1))
    wrong = right.copy()
    wrong[:wrongs] = [0, 2]
    return answers(wrong), answers(right), np.zeros(count, np.uint8)


def test_lower_precision_may_lose_a_little_accuracy_which_is_recorded() -> None:
    measured = prove("model.x", *wrong_of(4000, 2), may_lose=0.0005)
    assert measured["accuracy"] == 0.9995
    assert measured["different_answers"] == 2
    assert measured["largest_difference"] == 2


def test_the_error_about_lower_precision_states_the_loss() -> None:
    message = r"99\.95%, .* 100\.00%: a loss of 0\.05 points, more than the 0\.05 allowed"
    with pytest.raises(LosesTooMuch, match=message):
        prove("model.x", *wrong_of(3999, 2), may_lose=0.0005)


@pytest.mark.parametrize("may_lose", [0.0005, 0.0015])
def test_with_few_images_one_error_is_allowed_and_not_two(may_lose: float) -> None:
    """Which image rounding changes depends on the processor."""
    assert prove("model.x", *wrong_of(200), may_lose=may_lose)["accuracy"] == 0.995
    message = "is 99.00%, .*: a loss of 1.00 points, more than the 0.50 allowed"
    with pytest.raises(LosesTooMuch, match=message):
        prove("model.x", *wrong_of(200, 2), may_lose=may_lose)


@pytest.mark.parametrize(("may_lose", "images"), [(0.0005, 5), (0.0015, 15)])
def test_with_10_000_images_the_tolerance_applies(may_lose: float, images: int) -> None:
    prove("model.x", *wrong_of(10_000, images), may_lose=may_lose)
    with pytest.raises(LosesTooMuch):
        prove("model.x", *wrong_of(10_000, images + 1), may_lose=may_lose)


def test_higher_accuracy_is_not_a_loss() -> None:
    better, worse, labels = wrong_of(10)
    assert prove("model.x", worse, better, labels, may_lose=0)["accuracy"] == 1


def test_lower_precision_that_overflows_is_rejected() -> None:
    overflowed = np.where(LOGITS == 3, np.inf, LOGITS).astype(np.float32)
    with pytest.raises(LosesTooMuch, match="not finite"):
        prove("model.x", answers(overflowed), answers(LOGITS), LABELS, may_lose=1)
