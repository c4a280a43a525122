"""Judges a new version before it may serve: it and the current one run on the same images.

    test images of both, held-out corrections --model.onnx of each--> predictions --> checks

Both classify the same images, so the tests are paired (McNemar's exact test): only images that one
of the two classifies correctly count. `gained` are those of the new version, `lost` those of the
current one. A loss counts if it is larger than a limit and if chance explains it with a probability
of less than 5 %.

A version is worse if a check fails. Otherwise it is better if it gained more images than it lost.
Corrections that no admin has accepted may fail a check, but their gains do not make it better:
anyone may send them.

The result is the card's `gate`. gate.json holds it too, with both confusion matrices, and
changed.png shows test images that one of the two classifies correctly. Corrections are never shown:
files of a version are public.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest, ttest_rel

from contract.card import GATE, ONNX, Check, Gate, ModelCard
from contract.errors import NoVersion, StoreError
from contract.store import Store
from contract.version import Version
from export.judged_images import Incomparable, Indices, JudgedImages, RunImages, judged_images
from export.proof import Predictions, latency, predictions_of
from export.runners import Labels, Model, Pixels, onnx_runtime
from export.samples import write_changed
from export.threshold import WANTED, Confidence, Right, accepted, lowest_threshold
from training.checkpoint import Images
from training.corruptions import CORRUPTIONS, corrupted
from training.evaluate import MOST_TABULATED, as_input, calibration_error, confusions_of

SIGNIFICANT = 0.05  # probability of chance below which a loss counts
RECALL_LOSS, RECALL_IMAGES = 0.005, 3  # of one class; a loss counts if it exceeds both
CALIBRATION_FACTOR, CALIBRATION_ERROR = 1.5, 0.005  # the larger one is the limit
ACCEPTED_LOSS, RESAMPLES = 0.01, 200
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


def judge(
    draft: Path,
    card: ModelCard,
    store: Store,
    own: RunImages,
    runs: Path,
) -> Gate | None:
    """Compare the draft of a version with the current one; None if no version is current.

    `card` is that of the draft, `own` are the images of its run. `runs` is the folder in which the
    current version's run may be. Writes gate.json and changed.png to the draft.
    """
    try:
        number = store.current()
    except NoVersion:
        return None
    try:
        current = _comparable(card, store, number)
        images = judged_images(own, current, runs)
    except Incomparable as reason:
        gate, confusions = _incomparable(number, str(reason)), None
    else:
        gate, pair = _compared(draft, card, current, images, own)
        write_changed(draft, *images.images, card.labels, pair.candidate, pair.current)
        confusions = _confusions(pair, len(card.labels))
    facts = gate.model_dump(mode="json") | {"confusion": confusions}
    (draft / GATE).write_text(json.dumps(facts) + "\n")
    return gate


def _comparable(candidate: ModelCard, store: Store, number: int) -> Version:
    """The current version; Incomparable unless it takes and classifies the same images."""
    try:
        version = store.open(number)
    except StoreError as error:
        raise Incomparable(
            f"version {number} is damaged or not trusted and cannot be run"
        ) from error
    current = version.card
    if candidate.labels != current.labels:
        raise Incomparable(
            f"its {len(candidate.labels)} labels are not the current {len(current.labels)}"
        )
    if candidate.shape != current.shape:
        shapes = ("x".join(map(str, card.shape)) for card in (candidate, current))
        raise Incomparable(
            "its images have {} values, those of the current version {}".format(*shapes)
        )
    if candidate.preparation != current.preparation:
        raise Incomparable("it prepares images in another way than the current version")
    return version


def _incomparable(parent: int, reason: str) -> Gate:
    sentence = f"It cannot be compared with version {parent}: {reason}."
    check = Check(name="comparable", passed=False, candidate=None, current=None, reason=sentence)
    return Gate(
        parent=parent, verdict="worse", images=0, gained=0, lost=0, p_value=1, checks=(check,)
    )


def _compared(
    draft: Path,
    card: ModelCard,
    current: Version,
    images: JudgedImages,
    own: RunImages,
) -> tuple[Gate, Pair]:
    """The gate, and the predictions for the test images."""
    corrections = own.corrections
    models = onnx_runtime(draft / ONNX), onnx_runtime(current.folder / ONNX)
    test = images.images
    pair = _predicted(models, test)
    checks = [_accuracy("accuracy", "test images", pair.of(images.own))]
    if images.of_current is not None:
        name, of = "accuracy on the current test set", f"test images of version {current.number}"
        checks.append(_accuracy(name, of, pair.of(images.of_current)))
    pairs = [pair]
    unreviewed = (0, 0)
    if corrections is not None:
        corrected = _predicted(models, (corrections.pixels, corrections.labels))
        if corrections.reviewed.any():
            pairs.append(corrected.of(np.flatnonzero(corrections.reviewed)))
            checks.append(_accuracy("accuracy on corrections", "held-out corrections", pairs[1]))
        if not corrections.reviewed.all():
            others = corrected.of(np.flatnonzero(~corrections.reviewed))
            unreviewed = others.changes()
            name = "accuracy on unreviewed corrections"
            checks.append(_accuracy(name, "held-out corrections that nobody reviewed", others))
    checks += _recalls(pair, card.labels)
    checks.append(_calibration(pair))
    checks.append(_accepted_share(pair))
    if card.preparation.kind == "digit":
        checks.append(_corruptions(models, test))
    checks += [_time(models, batch, card.shape) for batch in (1, 64)]
    checks.append(_parity(card))
    gained, lost = (sum(counts) for counts in zip(*(each.changes() for each in pairs), strict=True))
    verdict: Literal["better", "equal", "worse"] = "better" if gained > lost else "equal"
    if not all(check.passed for check in checks):
        verdict = "worse"
    gate = Gate(
        parent=current.number,
        verdict=verdict,
        images=sum(len(each.labels) for each in pairs),
        gained=gained,
        lost=lost,
        p_value=_chance(gained, lost, "two-sided"),
        unreviewed_gained=unreviewed[0],
        unreviewed_lost=unreviewed[1],
        unreviewed_trained=own.unreviewed,
        excluded=images.excluded,
        checks=tuple(checks),
    )
    return gate, pair


def _predicted(models: tuple[Model, Model], images: Images) -> Pair:
    pixels, labels = images
    candidate, current = (predictions_of(model, pixels) for model in models)
    return Pair(candidate, current, labels)


def _chance(gained: int, lost: int, against: Literal["greater", "two-sided"] = "greater") -> float:
    """The probability of at least this loss if both versions are equally good."""
    if gained + lost == 0:
        return 1.0
    return float(binomtest(lost, gained + lost, alternative=against).pvalue)


# ---- checks ----------------------------------------------------------------------------------


def _accuracy(name: str, images: str, pair: Pair) -> Check:
    """Not lower than that of the current version by more than chance."""
    candidate, current = pair.accuracies
    gained, lost = pair.changes()
    chance = _chance(gained, lost)
    return Check(
        name=name,
        passed=chance >= SIGNIFICANT,
        candidate=candidate,
        current=current,
        reason=f"{candidate:.2%} of {len(pair.labels):,} {images}, before {current:.2%}: {gained} "
        f"gained, {lost} lost, p = {chance:.2g}, at least {SIGNIFICANT} required.",
    )


def _recalls(pair: Pair, names: Sequence[str]) -> Iterator[Check]:
    """A check for each class whose recall is worse, or one that passes for all classes."""
    present = np.unique(pair.labels)
    recalls = [_recall(pair, label, names[label], len(present)) for label in present]
    recalls.sort(key=_gain)
    worse = [check for check in recalls if not check.passed]
    if not worse:
        yield recalls[0].model_copy(
            update={"name": "recall", "reason": f"The largest loss: {recalls[0].reason}"}
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
    chance, required = _chance(gained, lost), SIGNIFICANT / classes
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


def _calibration(pair: Pair) -> Check:
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


def _accepted_share(pair: Pair) -> Check:
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


def _corruptions(models: tuple[Model, Model], test: Images) -> Check:
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


def _time(models: tuple[Model, Model], images: int, shape: tuple[int, ...]) -> Check:
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


def _parity(card: ModelCard) -> Check:
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


def _confusions(pair: Pair, classes: int) -> dict[str, list[list[int]]] | None:
    """How often class `row` was predicted as class `column`; None for too many classes."""
    if classes > MOST_TABULATED:
        return None
    return {
        name: confusions_of(pair.labels, each.classes, classes).tolist()
        for name, each in (("candidate", pair.candidate), ("current", pair.current))
    }
