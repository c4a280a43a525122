"""The lowest threshold that reaches the wanted accuracy, and the behaviour with little data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.card import Acceptance, NonDigits
from export.proof import Predictions
from export.threshold import (
    FEWEST,
    MOST_REFUSED,
    NON_DIGITS_WANTED,
    acceptance,
    accepted,
    lowest_threshold,
    non_digits_of,
)

CONFIDENCES = st.floats(0.125, 1, width=32)


def arrays(pairs: list[tuple[float, bool]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    confidence, right = zip(*pairs, strict=True)
    return np.array(confidence, np.float32), np.array(right, np.bool_)


def test_the_threshold_is_midway_between_the_last_accepted_and_the_next() -> None:
    pairs = [(0.25, True), (0.5, False), (0.75, True), (1.0, True)]
    assert lowest_threshold(*arrays(pairs)) == 0.625


def test_an_error_among_many_correct_predictions_is_accepted() -> None:
    sure = [(0.5 + step / 8000, True) for step in range(1999)]
    assert lowest_threshold(*arrays([(0.999, False), *sure])) == 0.5
    assert lowest_threshold(*arrays([(0.999, False), *sure[-900:]])) == 1.0


def test_without_errors_the_threshold_is_the_lowest_confidence() -> None:
    assert lowest_threshold(*arrays([(0.5, True), (0.75, True)])) == 0.5


def test_if_the_most_confident_is_wrong_almost_nothing_is_accepted() -> None:
    confidence, right = arrays([(0.9, False), (0.8, True)])
    assert lowest_threshold(confidence, right) == 1.0
    assert accepted(confidence, right, 1.0) == (0.0, None)


def test_equal_confidences_are_accepted_together_or_not_at_all() -> None:
    pairs = [(0.9, True), (0.5, True), (0.5, False), (0.5, True)]
    assert lowest_threshold(*arrays(pairs)) == pytest.approx(0.7)


@given(st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=50),
       st.sampled_from([0.5, 0.9, 0.999]))  # fmt: skip
def test_the_threshold_reaches_the_accuracy_and_no_lower_one_does(
    pairs: list[tuple[float, bool]], wanted: float
) -> None:
    confidence, right = arrays(pairs)
    threshold = lowest_threshold(confidence, right, wanted)
    _, accuracy = accepted(confidence, right, threshold)
    if threshold < 1:
        assert accuracy is not None
        assert accuracy >= wanted
    lower = [each for each in confidence.astype(np.float64) if each < threshold]
    assert all((accepted(confidence, right, each)[1] or 0) < wanted for each in lower)


def test_adjacent_floats_are_distinguished() -> None:
    confidence = np.array([np.nextafter(np.float32(0.5), np.float32(1)), 0.5], np.float32)
    right = np.array([True, False])
    assert accepted(confidence, right, lowest_threshold(confidence, right)) == (0.5, 1.0)


@given(st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=50))
def test_a_higher_wanted_accuracy_accepts_no_more(pairs: list[tuple[float, bool]]) -> None:
    thresholds = [lowest_threshold(*arrays(pairs), wanted) for wanted in (0.5, 0.8, 0.99)]
    assert thresholds == sorted(thresholds)


def answers(right: NDArray[np.bool_]) -> tuple[Predictions, NDArray[np.uint8]]:
    """Predictions of two classes: confidence 0.9 if right, 0.7 if wrong. All labels are 0."""
    sure = np.where(right, 0.9, 0.3)
    rows = np.stack([sure, 1 - sure], 1).astype(np.float32)
    return Predictions(np.log(rows), rows), np.zeros(len(right), np.uint8)


def test_the_card_has_the_accepted_shares_of_validation_and_test() -> None:
    validation, test = np.arange(400) >= 40, np.arange(100) >= 20
    found = acceptance(answers(validation), answers(test))
    assert found == Acceptance(
        threshold=(float(np.float32(0.9)) + float(np.float32(0.7))) / 2,
        wanted=0.999,
        validation_accepted=0.9,
        validation_accuracy=1.0,
        test_accepted=0.8,
        test_accuracy=1.0,
    )


def test_the_accepted_validation_images_have_no_more_errors_than_chance_gives_them() -> None:
    """At 99.9 %, six of 3,000 or fewer are wrong in 95 % of all cases."""
    test = answers(np.ones(100, np.bool_))
    for errors, least in ((6, True), (7, False)):
        rows = np.full((3000, 2), [0.9, 0.1], np.float32)
        rows[:errors] = [0.05, 0.95]  # wrong, and the most confident
        found = acceptance((Predictions(np.log(rows), rows), np.zeros(3000, np.uint8)), test)
        assert found is not None
        assert (found.validation_accepted == 1.0) is least


def test_of_fewer_than_a_thousand_accepted_images_none_is_wrong() -> None:
    right = np.arange(900) > 0
    found = acceptance(answers(right), answers(right))
    assert found is not None
    assert found.validation_accuracy == 1.0


def test_few_images_give_no_threshold() -> None:
    test = answers(np.ones(100, np.bool_))
    assert acceptance(None, test) is None
    assert acceptance(answers(np.ones(FEWEST - 1, np.bool_)), test) is None
    assert acceptance(answers(np.ones(FEWEST, np.bool_)), test) is not None


# ---- images that are no digit --------------------------------------------------------------------


def evenly(lowest: float, highest: float, count: int = 1000) -> Predictions:
    """Predictions of two classes, with confidences at equal distances."""
    confidence = np.linspace(lowest, highest, count)
    rows = np.stack([confidence, 1 - confidence], 1).astype(np.float32)
    return Predictions(np.log(rows), rows)


def test_few_images_that_are_no_digit_are_accepted() -> None:
    found = non_digits_of(
        (evenly(0.8, 0.99), evenly(0.5, 0.7)), (evenly(0.6, 0.99), evenly(0.5, 0.8))
    )
    assert found is not None
    assert found.threshold == pytest.approx(0.698, abs=1e-3)
    assert found.wanted == NON_DIGITS_WANTED
    assert found.validation_accepted == pytest.approx(NON_DIGITS_WANTED, abs=1e-3)
    assert (found.validation, found.validation_refused, found.test) == (1000, 0.0, 1000)
    assert found.test_accepted == pytest.approx((0.8 - found.threshold) / 0.3, abs=2e-3)
    assert found.test_refused == pytest.approx((found.threshold - 0.6) / 0.39, abs=2e-3)


def test_few_digits_are_refused_even_if_other_images_look_the_same() -> None:
    alike = evenly(0.5, 0.99)
    found = non_digits_of((alike, alike), (alike, alike))
    assert isinstance(found, NonDigits)
    assert found.validation_refused == pytest.approx(MOST_REFUSED, abs=1e-3)
    assert found.validation_accepted > 0.9


def test_few_digits_give_no_threshold_for_other_images() -> None:
    others = evenly(0.5, 0.7)
    for count, has_threshold in ((FEWEST - 1, False), (FEWEST, True)):
        found = non_digits_of((evenly(0.8, 0.99, count), others), (evenly(0.8, 0.99), others))
        assert (found is not None) == has_threshold
