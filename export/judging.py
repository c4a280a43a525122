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
from pathlib import Path
from typing import Literal

import numpy as np

from contract.card import GATE, ONNX, Check, Gate, ModelCard
from contract.errors import NoVersion, StoreError
from contract.store import Store
from contract.version import Version
from export import checks
from export.checks import Pair
from export.judged_images import Incomparable, JudgedImages, RunImages, judged_images
from export.proof import predictions_of
from export.runners import Model, onnx_runtime
from export.samples import write_changed
from training.checkpoint import Images
from training.evaluate import MOST_TABULATED, confusions_of


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
    models = onnx_runtime(draft / ONNX), onnx_runtime(current.folder / ONNX)
    test = images.images
    pair = _predicted(models, test)
    found = [checks.accuracy("accuracy", "test images", pair.of(images.own))]
    if images.of_current is not None:
        name, of = "accuracy on the current test set", f"test images of version {current.number}"
        found.append(checks.accuracy(name, of, pair.of(images.of_current)))
    pairs = [pair]
    unreviewed = (0, 0)
    if (corrections := own.corrections) is not None:
        corrected = _predicted(models, (corrections.pixels, corrections.labels))
        if corrections.reviewed.any():
            pairs.append(corrected.of(np.flatnonzero(corrections.reviewed)))
            name = "accuracy on corrections"
            found.append(checks.accuracy(name, "held-out corrections", pairs[1]))
        if not corrections.reviewed.all():
            others = corrected.of(np.flatnonzero(~corrections.reviewed))
            unreviewed = others.changes()
            name = "accuracy on unreviewed corrections"
            found.append(checks.accuracy(name, "held-out corrections that nobody reviewed", others))
    found += checks.recalls(pair, card.labels)
    found += [checks.calibration(pair), checks.accepted_share(pair)]
    if check := checks.non_digits(card, current.card):
        found.append(check)
    if card.preparation.kind == "digit":
        found.append(checks.corruptions(models, test))
    found += [checks.time_of_call(models, batch, card.shape) for batch in (1, 64)]
    found.append(checks.parity(card))
    gained, lost = (sum(counts) for counts in zip(*(each.changes() for each in pairs), strict=True))
    verdict: Literal["better", "equal", "worse"] = "better" if gained > lost else "equal"
    if not all(check.passed for check in found):
        verdict = "worse"
    gate = Gate(
        parent=current.number,
        verdict=verdict,
        images=sum(len(each.labels) for each in pairs),
        gained=gained,
        lost=lost,
        p_value=checks.chance_of(gained, lost, "two-sided"),
        unreviewed_gained=unreviewed[0],
        unreviewed_lost=unreviewed[1],
        unreviewed_trained=own.unreviewed,
        excluded=images.excluded,
        checks=tuple(found),
    )
    return gate, pair


def _predicted(models: tuple[Model, Model], images: Images) -> Pair:
    pixels, labels = images
    candidate, current = (predictions_of(model, pixels) for model in models)
    return Pair(candidate, current, labels)


def _confusions(pair: Pair, classes: int) -> dict[str, list[list[int]]] | None:
    """How often class `row` was predicted as class `column`; None for too many classes."""
    if classes > MOST_TABULATED:
        return None
    return {
        name: confusions_of(pair.labels, each.classes, classes).tolist()
        for name, each in (("candidate", pair.candidate), ("current", pair.current))
    }
