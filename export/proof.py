"""The proof: every artifact answers the whole test set as PyTorch does, or nothing is published.

PyTorch here is the checkpoint in eager mode. The test set comes from the run's own folder, in
batches of several sizes, one among them, so that the free batch axis is proven too. An artifact of
less than float32 may lose a little accuracy; what it lost is measured and reported. It may always
lose one picture: of a small test set that is more than a little, but one picture shows nothing.
"""

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.card import SIDE, Parity
from export.runners import Model, Pixels, Rows

TOLERANCE = 1e-4  # largest difference between two logits of float32 artifacts
BATCHES = (1, 2, 7, 64, 250)  # sizes, in turn
FAILED = "failed_proof"  # folder in the run: report.json, 00042-label-7-pytorch-7-model.onnx-1.png
MOST_SAVED = 100  # images of a failed proof


@dataclass(frozen=True)
class Answers:
    logits: Rows
    probabilities: Rows

    @property
    def digits(self) -> NDArray[np.int64]:
        digits: NDArray[np.int64] = self.logits.argmax(1)
        return digits


class ProofFailed(Exception):
    """An artifact does not answer as PyTorch does; the message says which, where, by how much."""

    def __init__(
        self, message: str, artifact: str = "", offending: NDArray[np.int64] | None = None
    ) -> None:
        super().__init__(message)
        self.artifact = artifact
        self.offending = np.empty(0, np.int64) if offending is None else offending  # of pictures
        self.answers: Answers | None = None


class LosesTooMuch(Exception):
    """An artifact of less than float32 is too far from PyTorch to be worth having."""


def answers_of(model: Model, pixels: Pixels) -> Answers:
    """The model's answers to all `pixels`, in batches of several sizes."""
    answers = [model(part) for part in _batches(pixels)]
    logits, probabilities = (np.concatenate(rows) for rows in zip(*answers, strict=True))
    return Answers(logits, probabilities)


def prove(
    name: str,
    answers: Answers,
    reference: Answers,
    labels: NDArray[np.uint8],
    *,
    may_lose: float | None = None,
) -> dict[str, Any]:
    """How close an artifact is to `reference`: the fields of Parity that are about answers.

    Without `may_lose` every answer must be the same and every logit within TOLERANCE, else
    ProofFailed. With it, LosesTooMuch if the accuracy is lower by more than that and by more than
    one picture.
    """
    if may_lose is not None and not np.isfinite(answers.logits).all():
        raise LosesTooMuch("some of its logits are no finite numbers")
    _check_probabilities(name, answers)
    difference = np.abs(answers.logits - reference.logits)  # (n, classes)
    different = np.flatnonzero(answers.digits != reference.digits)
    right, right_before = ((each.digits == labels).sum() for each in (answers, reference))
    if may_lose is None:
        _check_same(name, difference, different)
    elif right_before - right > (allowed := max(may_lose * len(labels), 1)):
        raise LosesTooMuch(
            f"it gets {right / len(labels):.2%} of the test set right, PyTorch "
            f"{right_before / len(labels):.2%}: a loss of "
            f"{(right_before - right) / len(labels) * 100:.2f} points, more than the "
            f"{allowed / len(labels) * 100:.2f} allowed"
        )
    return {
        "accuracy": float(right / len(labels)),
        "different_answers": len(different),
        "largest_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
    }


def parity(
    name: str,
    model: Model,
    reference: Answers,
    pixels: Pixels,
    labels: NDArray[np.uint8],
    may_lose: float | None,
) -> Parity:
    """All that the card says of an artifact; ProofFailed or LosesTooMuch as `prove` says."""
    answers = answers_of(model, pixels)
    try:
        measured = prove(name, answers, reference, labels, may_lose=may_lose)
    except ProofFailed as failure:
        failure.answers = answers
        raise
    return Parity(**measured, seconds_1=latency(model, 1), seconds_64=latency(model, 64))


def latency(model: Model, batch: int, seconds: float = 0.1) -> float:
    """Median seconds of one call with `batch` images of noise, measured for `seconds`."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, SIDE, SIDE), np.uint8)
    model(pixels)  # the first call allocates
    calls: list[float] = []
    end = time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        began = time.perf_counter()
        model(pixels)
        calls.append(time.perf_counter() - began)
    return statistics.median(calls)


def _check_probabilities(name: str, answers: Answers) -> None:
    off = np.abs(answers.probabilities - _softmax(answers.logits)).max(1)  # (n,)
    if not off.max() <= TOLERANCE:  # NaN is not
        raise ProofFailed(
            f"{name}: probabilities are not the softmax of logits, by {off.max():.2e}",
            name,
            np.flatnonzero(~(off <= TOLERANCE)),
        )


def _check_same(name: str, difference: Rows, different: NDArray[np.int64]) -> None:
    if len(different):
        raise ProofFailed(
            f"{name} answers {len(different)} of {len(difference)} test pictures otherwise than "
            f"PyTorch; the first are pictures {different[:5].tolist()}",
            name,
            different,
        )
    if not difference.max() <= TOLERANCE:
        raise ProofFailed(
            f"{name} differs from PyTorch by up to {difference.max():.2e} in a logit (test picture "
            f"{difference.max(1).argmax()}), more than the {TOLERANCE:.0e} allowed",
            name,
            np.flatnonzero(~(difference.max(1) <= TOLERANCE)),
        )


def _batches(pixels: Pixels) -> Iterator[Pixels]:
    start, turn = 0, 0
    while start < len(pixels):
        size = BATCHES[turn % len(BATCHES)]
        yield pixels[start : start + size]
        start, turn = start + size, turn + 1


def _softmax(logits: Rows) -> Rows:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    softmax: Rows = powers / powers.sum(1, keepdims=True)
    return softmax


def save_offending(
    run: Path,
    failure: ProofFailed,
    reference: Answers,
    pixels: Pixels,
    labels: NDArray[np.uint8],
) -> Path:
    """Write the images that a proof failed on into `run`, for a person to look at.

    Replaces those of an earlier failure and returns the folder.
    """
    discard_offending(run)
    folder = run / FAILED
    folder.mkdir()
    pictures = []
    for index in failure.offending[:MOST_SAVED].tolist():
        facts = _facts(failure, reference, index, int(labels[index]))
        name = (
            f"{index:05}-label-{facts['label']}-pytorch-{facts['pytorch']['answer']}"
            f"-{failure.artifact}-{facts['artifact']['answer']}.png"
        )
        Image.fromarray(pixels[index]).save(folder / name)
        pictures.append({"file": name, **facts})
    report = {
        "artifact": failure.artifact,
        "failure": str(failure),
        "offending": len(failure.offending),
        "pictures": pictures,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return folder


def discard_offending(run: Path) -> None:
    shutil.rmtree(run / FAILED, ignore_errors=True)


def _facts(failure: ProofFailed, reference: Answers, index: int, label: int) -> dict[str, Any]:
    assert failure.answers is not None, "`parity` sets the answers"
    return {
        "index": index,
        "label": label,
        "pytorch": _row(reference, index),
        "artifact": _row(failure.answers, index),
    }


def _row(answers: Answers, index: int) -> dict[str, Any]:
    # As text where JSON has no word for it: a failed proof is where NaN turns up.
    logits = [round(x, 6) if np.isfinite(x) else str(x) for x in answers.logits[index].tolist()]
    return {"answer": int(answers.digits[index]), "logits": logits}
