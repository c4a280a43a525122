"""The proof: every artifact predicts the whole test set as PyTorch does, or nothing is published.

PyTorch means the checkpoint in eager mode. The test set is that of the run. It is processed in
batches of several sizes, including one, so that the dynamic batch axis is proven too. An artifact
with less precision than float32 may lose a little accuracy; the loss is measured and reported. It
may always lose one image, because a single image of a small test set is not significant.
"""

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contract.card import SIDE
from export.runners import Labels, Model, Pixels, Rows

TOLERANCE = 1e-4  # largest difference between two logits of float32 artifacts
BATCHES = (1, 2, 7, 64, 250)  # sizes, in turn
BATCH_BYTES = 10 * 2**20  # of pixels at most: large images go in smaller batches
FAILED = "failed_proof"  # folder in the run: report.json, 00042-label-7-pytorch-7-model.onnx-1.png
MOST_SAVED = 100  # images of a failed proof


@dataclass(frozen=True)
class Predictions:
    logits: Rows
    probabilities: Rows

    @property
    def classes(self) -> NDArray[np.int64]:
        classes: NDArray[np.int64] = self.logits.argmax(1)
        return classes

    def of(self, images: NDArray[np.intp]) -> "Predictions":
        """Those for the images with these indices."""
        return Predictions(self.logits[images], self.probabilities[images])


class ProofFailed(Exception):
    """An artifact differs from PyTorch; the message names the artifact and the difference."""

    def __init__(
        self,
        message: str,
        artifact: str = "",
        predictions: Predictions | None = None,
        differs: NDArray[np.bool_] | None = None,  # (n,)
    ) -> None:
        super().__init__(message)
        self.artifact, self.predictions = artifact, predictions
        self.offending = np.flatnonzero([] if differs is None else differs)  # indices of images


class LosesTooMuch(Exception):
    """An artifact with less precision than float32 is too inaccurate to be useful."""


def predictions_of(model: Model, pixels: Pixels) -> Predictions:
    """The model's predictions for all `pixels`, in batches of several sizes."""
    batches = [model(batch) for batch in _batches(pixels)]
    return Predictions(*(np.concatenate(rows) for rows in zip(*batches, strict=True)))


def prove(
    name: str,
    predictions: Predictions,
    reference: Predictions,
    labels: Labels,
    *,
    may_lose: float | None = None,
) -> dict[str, Any]:
    """Compare an artifact with `reference`; returns the fields of Parity about predictions.

    Without `may_lose`, ProofFailed unless every predicted class is the same and every logit is
    within TOLERANCE. With it, LosesTooMuch if the accuracy is lower by more than that and by more
    than one image.
    """
    if may_lose is not None and not np.isfinite(predictions.logits).all():
        raise LosesTooMuch("some of its logits are not finite")

    def fail_if(differs: NDArray[np.bool_], message: str) -> None:  # (n,)
        if differs.any():
            raise ProofFailed(f"{name} {message}", name, predictions, differs)

    softmax = torch.softmax(torch.from_numpy(predictions.logits), 1).numpy()
    off = np.abs(predictions.probabilities - softmax).max(1)  # (n,)
    fail_if(
        ~(off <= TOLERANCE),  # also true for NaN
        f"has probabilities that are not the softmax of logits, by {off.max():.2e}",
    )
    difference = np.abs(predictions.logits - reference.logits)  # (n, classes)
    different = predictions.classes != reference.classes  # (n,)
    right, right_before = ((each.classes == labels).sum() for each in (predictions, reference))
    if may_lose is None:
        fail_if(
            different,
            f"predicts {different.sum()} of {len(labels)} test images differently from PyTorch; "
            f"the first are images {np.flatnonzero(different)[:5].tolist()}",
        )
        fail_if(
            ~(difference.max(1) <= TOLERANCE),
            f"differs from PyTorch by up to {difference.max():.2e} in a logit (test image "
            f"{difference.max(1).argmax()}), more than the {TOLERANCE:.0e} allowed",
        )
    elif right_before - right > (allowed := max(may_lose * len(labels), 1)):
        raise LosesTooMuch(
            f"its accuracy on the test set is {right / len(labels):.2%}, PyTorch's is "
            f"{right_before / len(labels):.2%}: a loss of "
            f"{(right_before - right) / len(labels) * 100:.2f} points, more than the "
            f"{allowed / len(labels) * 100:.2f} allowed"
        )
    return {
        "accuracy": float(right / len(labels)),
        "different_answers": int(different.sum()),
        "largest_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
    }


def latency(
    model: Model, batch: int, shape: tuple[int, ...] = (SIDE, SIDE), seconds: float = 0.1
) -> float:
    """Median seconds of one call with `batch` images of noise, measured for `seconds`.

    `shape` is that of one image.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (batch, *shape), np.uint8)
    first = _seconds_of(model, pixels)  # it allocates, which only matters for fast models
    if first > 10 * seconds:
        return first
    calls: list[float] = []
    end = time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        calls.append(_seconds_of(model, pixels))
    return statistics.median(calls)


def _seconds_of(model: Model, pixels: Pixels) -> float:
    began = time.perf_counter()
    model(pixels)
    return time.perf_counter() - began


def _batches(pixels: Pixels) -> Iterator[Pixels]:
    sizes, most = cycle(BATCHES), max(1, BATCH_BYTES // pixels[:1].nbytes)
    while len(pixels):
        size = min(next(sizes), most)
        yield pixels[:size]
        pixels = pixels[size:]


# ---- the images of a failed proof ------------------------------------------------------------


def save_failure(
    run: Path,
    failure: ProofFailed,
    reference: Predictions,
    pixels: Pixels,
    labels: Labels,
) -> ProofFailed:
    """Write the images that differ to the folder `run`, replacing those of an earlier failure.

    Returns the failure with a message that names their folder.
    """
    assert failure.predictions is not None
    folder = run / FAILED
    try:
        discard_failure(run)
        folder.mkdir()
        images = []
        for index in failure.offending[:MOST_SAVED].tolist():
            label = int(labels[index])
            before, after = _row(reference, index), _row(failure.predictions, index)
            file = (
                f"{index:05}-label-{label}-pytorch-{before['answer']}"
                f"-{failure.artifact}-{after['answer']}.png"
            )
            Image.fromarray(pixels[index]).save(folder / file)
            facts = {"file": file, "index": index, "label": label}
            images.append(facts | {"pytorch": before, "artifact": after})
        report = {
            "artifact": failure.artifact,
            "failure": str(failure),
            "offending": len(failure.offending),
            "images": images,
        }
        (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    except OSError as error:  # the failure itself is more important
        return ProofFailed(f"{failure}; its images could not be saved: {error}")
    return ProofFailed(f"{failure}; its images and logits are in {folder}")


def discard_failure(run: Path) -> None:
    shutil.rmtree(run / FAILED, ignore_errors=True)


def _row(predictions: Predictions, index: int) -> dict[str, Any]:
    # JSON has no NaN and infinity, which occur in failed proofs: they are written as text.
    logits = predictions.logits[index].tolist()
    rounded = [round(each, 6) if np.isfinite(each) else str(each) for each in logits]
    return {"answer": int(predictions.classes[index]), "logits": rounded}
