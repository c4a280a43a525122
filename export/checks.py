"""The checks of a new version beside the current one, each with its limit.

    pair of predictions for the same images --check--> Check: both numbers, a reason, passed or not

A loss fails a check if it is larger than a limit and if chance explains it with a probability of
less than SIGNIFICANT. The images are the same for both, so the tests are paired.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest, fisher_exact, ttest_rel

from contract.card import ONNX, Check, ModelCard
from export.judged_images import Indices
from export.proof import Predictions, latency, predictions_of
from export.runners import Labels, Model, Pixels
from export.threshold import WANTED, Confidence, Right, accepted, lowest_threshold
from training.checkpoint import Images
from training.corruptions import CORRUPTIONS, corrupted
from training.evaluate import as_input, calibration_error

SIGNIFICANT = 0.05  # probability of chance below which a loss counts
RECALL_LOSS, RECALL_IMAGES = 0.005, 3  # of one class; a loss counts if it exceeds both
CALIBRATION_FACTOR, CALIBRATION_ERROR = 1.5, 0.005  # the larger one is the limit
ACCEPTED_LOSS, RESAMPLES = 0.01, 200
NON_DIGITS_LOSS = 0.01
CORRUPTED_IMAGES, CORRUPTED_LOSS = 1000, 0.01  # test images at most
TIME_FACTOR, TIME_ROUNDS = 1.5, 5
MOST_CLASSES = 10  # with a check of their own if their recall is worse


@dataclass(frozen=True)
class Pair:
    """Predictions of the new version and of the current one for the same n labelled images."""

    candidate: Predictions
    current: Predictions
    labels: Labels

    @property
    def right(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which images the two classify correctly, (n,) each."""
        candidate, current = self.candidate.classes, self.current.classes
        return candidate == self.labels, current == self.labels

    @property
    def accuracies(self) -> tuple[float, float]:
        candidate, current = self.right
        return float(candidate.mean()), float(current.mean())

    def changes(self, images: NDArray[np.bool_] | None = None) -> tuple[int, int]:
        """How many images were gained and lost, of all or of those in a mask (n,)."""
        candidate, current = self.right
        chosen = np.ones_like(candidate) if images is None else images
        gained, lost = candidate & ~current & chosen, current & ~candidate & chosen
        return int(gained.sum()), int(lost.sum())

    def of(self, images: Indices) -> "Pair":
        """Those for the images with these indices."""
        return Pair(self.candidate.of(images), self.current.of(images), self.labels[images])


def chance_of(
    gained: int, lost: int, against: Literal["greater", "two-sided"] = "greater"
) -> float:
    """The probability of at least this loss if both versions are equally good."""
    if gained + lost == 0:
        return 1.0
    return float(binomtest(lost, gained + lost, alternative=against).pvalue)


def accuracy(name: str, images: str, pair: Pair) -> Check:
    """Not lower than that of the current version by more than chance."""
    candidate, current = pair.accuracies
    gained, lost = pair.changes()
    chance = chance_of(gained, lost)
    return Check(
        name=name,
        passed=chance >= SIGNIFICANT,
        candidate=candidate,
        current=current,
        reason=f"{candidate:.2%} of {len(pair.labels):,} {images}, before {current:.2%}: {gained} "
        f"gained, {lost} lost, p = {chance:.2g}, at least {SIGNIFICANT} required.",
    )


def recalls(pair: Pair, names: Sequence[str]) -> Iterator[Check]:
    """A check for each class whose recall is worse, or one that passes for all classes."""
    present = np.unique(pair.labels)
    found = [_recall(pair, label, names[label], len(present)) for label in present]
    found.sort(key=_gain)
    worse = [check for check in found if not check.passed]
    if not worse:
        yield found[0].model_copy(
            update={"name": "recall", "reason": f"The largest loss: {found[0].reason}"}
        )
    yield from worse[:MOST_CLASSES]
    if (others := len(worse) - MOST_CLASSES) > 0:
        yield Check(
            name="recall of other classes",
            passed=False,
            candidate=None,
            current=None,
            reason=f"{others} other classes are worse too.",
        )


def _recall(pair: Pair, label: int, name: str, classes: int) -> Check:
    """Worse if the loss is larger than the limits and more than chance, in any of the classes.

    With many classes a large loss in one of them by chance is likely: the limit of the probability
    is divided by their number (Bonferroni).
    """
    images = pair.labels == label
    candidate, current = (float(right[images].mean()) for right in pair.right)
    gained, lost = pair.changes(images)
    chance, required = chance_of(gained, lost), SIGNIFICANT / classes
    large = current - candidate > RECALL_LOSS and lost - gained > RECALL_IMAGES
    return Check(
        name=f"recall of {name}",
        passed=not large or chance >= required,
        candidate=candidate,
        current=current,
        reason=f"{candidate:.2%} of {images.sum():,} test images of {name}, before {current:.2%}: "
        f"{gained} gained, {lost} lost" + _required(large, chance, required),
    )


def _gain(check: Check) -> float:
    assert check.candidate is not None
    assert check.current is not None
    return check.candidate - check.current


def calibration(pair: Pair) -> Check:
    """The limit is never below two standard errors of the accuracy: few images are noisy."""
    labels = torch.from_numpy(pair.labels.astype(np.int64))
    candidate, current = (
        calibration_error(torch.from_numpy(each.logits), labels)
        for each in (pair.candidate, pair.current)
    )
    accuracy = pair.accuracies[0]
    noise = 2 * (accuracy * (1 - accuracy) / len(labels)) ** 0.5
    limit = max(CALIBRATION_FACTOR * current, CALIBRATION_ERROR, noise)
    return Check(
        name="calibration",
        passed=candidate <= limit,
        candidate=candidate,
        current=current,
        reason=f"An error of {candidate:.2%}, before {current:.2%}; at most {limit:.2%} allowed.",
    )


def accepted_share(pair: Pair) -> Check:
    """The largest share of the test images that can be accepted with the accuracy WANTED.

    The threshold of each version is chosen anew, on these images: that on its card depends on the
    few errors among its validation images, which moves the share by more than a point.
    """
    confidences = [each.probabilities.max(1) for each in (pair.candidate, pair.current)]

    def shares(images: NDArray[np.intp]) -> tuple[float, float]:
        candidate, current = (
            _acceptable(confidence[images], right[images])
            for confidence, right in zip(confidences, pair.right, strict=True)
        )
        return candidate, current

    count = len(pair.labels)
    share, share_before = shares(np.arange(count))
    chance = 1.0
    if large := share_before - share > ACCEPTED_LOSS:  # with replacement: a bootstrap
        random = np.random.default_rng(0)
        resampled = (shares(random.integers(0, count, count)) for _ in range(RESAMPLES))
        chance = statistics.fmean(candidate >= current for candidate, current in resampled)
    return Check(
        name="accepted share",
        passed=chance >= SIGNIFICANT,
        candidate=share,
        current=share_before,
        reason=f"{share:.2%} of the test images can be accepted with an accuracy of {WANTED:.1%}, "
        f"before {share_before:.2%}" + _required(large, chance),
    )


def _acceptable(confidence: Confidence, right: Right) -> float:
    return accepted(confidence, right, lowest_threshold(confidence, right))[0]


def _required(large: bool, chance: float, required: float = SIGNIFICANT) -> str:
    """The end of a reason: for a large loss, how likely it is by chance."""
    return f", p = {chance:.2g}, at least {required:.2g} required." if large else "."


def non_digits(candidate: ModelCard, current: ModelCard) -> Check | None:
    """The share of images that are no digit which is accepted; None if neither recognises any.

    Each version's share is on its card, measured at its own threshold.
    """
    found, before = candidate.non_digits, current.non_digits
    if before is None or found is None:
        if before is None:
            return None
        return Check(
            name="non-digits",
            passed=False,
            candidate=None,
            current=before.test_accepted,
            reason="It was not trained to recognise images that are no digit, as the current "
            "version was: train with --non-digits.",
        )
    chance = 1.0
    if large := found.test_accepted - before.test_accepted > NON_DIGITS_LOSS:
        counts = [
            [round(each.test_accepted * each.test), round((1 - each.test_accepted) * each.test)]
            for each in (found, before)
        ]
        chance = float(fisher_exact(counts, alternative="greater").pvalue)
    return Check(
        name="non-digits",
        passed=chance >= SIGNIFICANT,
        candidate=found.test_accepted,
        current=before.test_accepted,
        reason=f"{found.test_accepted:.2%} of {found.test:,} images that are no digit are "
        f"accepted, before {before.test_accepted:.2%}" + _required(large, chance),
    )


def corruptions(models: tuple[Model, Model], test: Images) -> Check:
    """The mean accuracy under all corruptions, on some of the test images."""
    pixels, labels = test
    random = np.random.default_rng(0)
    chosen = np.sort(random.permutation(len(labels))[:CORRUPTED_IMAGES])
    ink, labels = as_input(torch.from_numpy(pixels[chosen])), labels[chosen]
    right = np.zeros((2, len(CORRUPTIONS), len(labels)))
    for index, name in enumerate(CORRUPTIONS):
        images = _pixels(corrupted(name, ink))
        for model, row in zip(models, right[:, index], strict=True):
            row[:] = predictions_of(model, images).classes == labels
    by_image = right.mean(1)  # (2, n)
    candidate, current = (float(accuracies.mean()) for accuracies in by_image)
    chance = 1.0
    if large := current - candidate > CORRUPTED_LOSS:
        chance = float(ttest_rel(*by_image, alternative="less").pvalue)
    return Check(
        name="corruptions",
        passed=chance >= SIGNIFICANT,
        candidate=candidate,
        current=current,
        reason=f"{candidate:.2%} of {len(labels):,} test images on average, before {current:.2%}"
        + _required(large, chance),
    )


def _pixels(ink: torch.Tensor) -> Pixels:
    """Ink (n, 1, 28, 28) float32, 0..1, as pixels (n, 28, 28) uint8."""
    levels: Pixels = (ink[:, 0] * 255).round().to(torch.uint8).numpy()
    return levels


def time_of_call(models: tuple[Model, Model], images: int, shape: tuple[int, ...]) -> Check:
    """Slower only if it is in each of several rounds: other programs may use the processor."""
    rounds = [
        [latency(model, images, shape, seconds=0.02) for model in models]
        for _ in range(TIME_ROUNDS)
    ]
    candidate, current = (statistics.median(times) for times in zip(*rounds, strict=True))
    return Check(
        name=f"time of a call with {images} image{'s' * (images > 1)}",
        passed=min(new / before for new, before in rounds) <= TIME_FACTOR,
        candidate=candidate,
        current=current,
        reason=f"{candidate * 1e6:,.0f} us on one thread, before {current * 1e6:,.0f} us; at most "
        f"{TIME_FACTOR} times as long allowed.",
    )


def parity(card: ModelCard) -> Check:
    """Proven before, or there would be no version: it is listed with the others."""
    largest = card.parity[ONNX].largest_difference
    return Check(
        name="parity",
        passed=True,
        candidate=largest,
        current=None,
        reason="model.onnx predicts all test images, and the golden set, as PyTorch does; the "
        f"largest difference of a logit is {largest:.1e}.",
    )
