"""The confidence threshold from which on a model's predictions are accepted.

It is determined on the validation images, which the weights were not trained on, and reported with
its effect on the test images, which had no part in choosing it. A prediction below it is uncertain.

What few pictures can show is little. Where fewer than 1 / (1 - WANTED) = 1,000 are accepted, all of
them have to be right, and that they are shows no 99.9 %: of 600, all right, one would expect it as
often as not from a model that is right 99.88 % of the time. Fewer than FEWEST find no threshold.
"""

import numpy as np
from numpy.typing import NDArray

from contract.card import Acceptance
from export.proof import Answers

WANTED = 0.999  # of the accepted validation pictures, to be right
FEWEST = 200  # validation pictures; also what a temperature is fitted on at least

Confidence = NDArray[np.float32]  # (n,), probability of the answer given
Right = NDArray[np.bool_]  # (n,)


def acceptance(
    validation: tuple[Answers, NDArray[np.uint8]] | None, test: tuple[Answers, NDArray[np.uint8]]
) -> Acceptance | None:
    """What the card says of accepting, from answers and labels; None if they find no threshold."""
    if validation is None or len(validation[1]) < FEWEST:
        return None
    chosen_on, fresh = _judged(*validation), _judged(*test)
    threshold = lowest_threshold(*chosen_on)
    validation_accepted, validation_accuracy = accepted(*chosen_on, threshold)
    test_accepted, test_accuracy = accepted(*fresh, threshold)
    return Acceptance(
        threshold=threshold,
        wanted=WANTED,
        validation_accepted=validation_accepted,
        validation_accuracy=validation_accuracy,
        test_accepted=test_accepted,
        test_accuracy=test_accuracy,
    )


def lowest_threshold(confidence: Confidence, right: Right, wanted: float = WANTED) -> float:
    """The lowest threshold with `wanted` of the accepted answers (confidence >= it) right.

    It lies halfway between two confidences, so that the last digits of a float, which differ from
    one runtime to the next, decide nothing. Where all may be accepted it is the lowest confidence
    there was, not 0: the accuracy of less certain predictions is unknown. 1 if none reaches it.
    A higher one may miss `wanted` by one error among the few it accepts.
    """
    order = np.argsort(confidence)[::-1]
    ordered = confidence[order].astype(np.float64)  # falling
    accuracy = right[order].cumsum() / np.arange(1, len(order) + 1)  # of this one and those before
    last_of_equals = np.append(ordered[:-1] > ordered[1:], True)  # they are accepted together
    enough = np.flatnonzero((accuracy >= wanted) & last_of_equals)
    if len(enough) == 0:
        return 1.0
    last = enough[-1]
    return float(ordered[last : last + 2].mean())


def accepted(confidence: Confidence, right: Right, threshold: float) -> tuple[float, float | None]:
    """Which fraction is accepted, and which fraction of those is right; None of none."""
    taken = confidence.astype(np.float64) >= threshold  # rounded to float32 it might be one of them
    return float(taken.mean()), float(right[taken].mean()) if taken.any() else None


def _judged(answers: Answers, labels: NDArray[np.uint8]) -> tuple[Confidence, Right]:
    return answers.probabilities.max(1), answers.digits == labels
