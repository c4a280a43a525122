"""The confidence threshold: predictions with at least this confidence are accepted.

It is chosen on the validation images, on which the weights were not trained, and reported with its
effect on the test images, which are not used for the choice. A prediction below it is uncertain.

As many errors are allowed as chance alone gives a model of that accuracy in 95 % of all cases. With
exactly one error in 1,000, a single mislabelled image may decide: between 3.5 and 23 % of MNIST's
test digits were uncertain, depending on how much the recipe smoothed the labels.

Few images prove little. If fewer than 1 / (1 - WANTED) = 1,000 are accepted, all of them must be
right, and even that does not prove 99.9 %: a model with an accuracy of 99.88 % classifies 600
images without an error about every second time. With fewer than FEWEST images there is no
threshold.

A second threshold, of models that were trained on images that are no digit, is the lowest that
accepts few of these. It gives way where it would refuse many digits. A prediction is uncertain
below the higher one of the two.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from contract.card import Acceptance, NonDigits
from export.proof import Predictions
from export.runners import Labels

WANTED = 0.999  # accuracy required of the accepted validation images
CHANCE = 0.95  # probability that a model of that accuracy makes no more errors than are allowed
FEWEST = 200  # validation images, as for the temperature
NON_DIGITS_WANTED = 0.01  # at most this share of the validation images that are no digit accepted
MOST_REFUSED = 0.02  # of the validation digits, for that

Confidence = NDArray[np.float32]  # (n,), probability of the predicted class
Right = NDArray[np.bool_]  # (n,)


def acceptance(
    validation: tuple[Predictions, Labels] | None,
    test: tuple[Predictions, Labels],
) -> Acceptance | None:
    """The threshold and its effect, from predictions and labels; None if there is no threshold."""
    if validation is None or len(validation[1]) < FEWEST:
        return None
    chosen_on, fresh = _judged(*validation), _judged(*test)
    threshold = lowest_threshold(*chosen_on, chance=CHANCE)
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


def non_digits_of(
    validation: tuple[Predictions, Predictions], test: tuple[Predictions, Predictions]
) -> NonDigits | None:
    """The threshold by which images that are no digit are recognised, and its effect.

    Each pair has the predictions for digits and for the others. None if there are too few digits.
    """
    if len(validation[0].classes) < FEWEST:
        return None
    digits, others = (_confidence(each) for each in validation)
    test_digits, test_others = (_confidence(each) for each in test)
    threshold = min(
        float(np.quantile(others, 1 - NON_DIGITS_WANTED)),
        float(np.quantile(digits, MOST_REFUSED)),
    )
    return NonDigits(
        threshold=threshold,
        wanted=NON_DIGITS_WANTED,
        validation=len(others),
        validation_accepted=float((others >= threshold).mean()),
        validation_refused=float((digits < threshold).mean()),
        test=len(test_others),
        test_accepted=float((test_others >= threshold).mean()),
        test_refused=float((test_digits < threshold).mean()),
    )


def _confidence(predictions: Predictions) -> NDArray[np.float64]:
    confidence: NDArray[np.float64] = predictions.probabilities.max(1).astype(np.float64)
    return confidence


def lowest_threshold(
    confidence: Confidence, right: Right, wanted: float = WANTED, *, chance: float | None = None
) -> float:
    """The lowest threshold for which a share `wanted` of the accepted predictions is right.

    With `chance`, more errors are allowed: as many as a model of the accuracy `wanted` does not
    exceed with that probability, if it is expected to make at least one.

    A prediction is accepted if its confidence is at least the threshold. The threshold lies halfway
    between two confidences, so that rounding, which differs between runtimes, has no effect. If all
    predictions may be accepted it is the lowest confidence, not 0, because the accuracy of less
    confident predictions is unknown. It is 1 if no threshold suffices. A higher threshold may miss
    `wanted`, because of a single error among the few predictions that it accepts.
    """
    order = np.argsort(confidence)[::-1]
    ordered = confidence[order].astype(np.float64)  # falling
    count = np.arange(1, len(order) + 1)  # the first 1, 2, ... are accepted
    accurate = right[order].cumsum() / count >= wanted
    if chance is not None:
        wrong, share = (~right[order]).cumsum(), 1 - wanted
        accurate |= (count * share >= 1) & (wrong <= binom.ppf(chance, count, share))
    last_of_equals = np.append(ordered[:-1] > ordered[1:], True)  # they are accepted together
    enough = np.flatnonzero(accurate & last_of_equals)
    if len(enough) == 0:
        return 1.0
    last = enough[-1]
    return float(ordered[last : last + 2].mean())


def accepted(confidence: Confidence, right: Right, threshold: float) -> tuple[float, float | None]:
    """The fraction of accepted predictions and their accuracy, None if none is accepted."""
    taken = confidence.astype(np.float64) >= threshold  # as float32 the threshold might be rounded
    return float(taken.mean()), float(right[taken].mean()) if taken.any() else None


def _judged(predictions: Predictions, labels: Labels) -> tuple[Confidence, Right]:
    return predictions.probabilities.max(1), predictions.classes == labels
