"""Accuracy and calibration of a network on labelled images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import ClassReport, Evaluation
from training.corruptions import CORRUPTIONS, corrupted

BINS = 15  # of the expected calibration error, as in Guo et al., arXiv 1706.04599
BATCH = 500  # pictures
FEWEST = 200  # images needed to fit a temperature


@dataclass(frozen=True)
class Judged:
    """A network's answers to labelled pictures. All on the CPU."""

    logits: Tensor  # (n, classes), of temperature 1
    labels: Tensor  # (n,) int64
    temperature: float
    names: Sequence[str]  # of the classes

    @property
    def answers(self) -> Tensor:
        return self.logits.argmax(1)  # (n,)

    @property
    def probabilities(self) -> Tensor:
        return F.softmax(self.logits / self.temperature, 1)  # (n, classes)

    @property
    def accuracy(self) -> float:
        return float((self.answers == self.labels).double().mean())

    def evaluation(self) -> Evaluation:
        """Everything the model card says of a test set."""
        columns = precision_recall_fscore_support(
            self.labels.numpy(),
            self.answers.numpy(),
            labels=list(range(len(self.names))),
            zero_division=0.0,
        )
        return Evaluation(
            accuracy=self.accuracy,
            calibration_error=calibration_error(self.logits / self.temperature, self.labels),
            calibration_error_before=calibration_error(self.logits, self.labels),
            per_class=tuple(
                ClassReport(
                    label=name,
                    precision=float(precision),
                    recall=float(recall),
                    f1=float(f1),
                    support=int(support),
                )
                for name, precision, recall, f1, support in zip(self.names, *columns, strict=True)
            ),
        )

    def measured(self) -> dict[str, Any]:
        """What training_metrics.json holds beside the checkpoint's own evaluation."""
        return {
            "accuracy": self.accuracy,
            "confusion_matrix": self.confusions().tolist(),
            "commonest_confusions": self.commonest_confusions(),
            "reliability": [
                {"confidence": bar.confidence, "accuracy": bar.accuracy, "count": bar.count}
                for bar in self.reliability()
            ],  # the data of reliability.png
        }

    def summary(self) -> str:
        found = self.evaluation()
        return (
            f"{found.accuracy:.2%} of {len(self.labels):,} test images correct, calibration error "
            f"{found.calibration_error:.2%}"
        )

    def reliability(self) -> list["Bar"]:
        """How right the calibrated answers are, by how sure they are."""
        return reliability(self.logits / self.temperature, self.labels)

    def confusions(self) -> NDArray[np.int64]:
        """How often class `row` was taken for class `column`, (classes, classes)."""
        classes = range(len(self.names))
        counts: NDArray[np.int64] = confusion_matrix(
            self.labels.numpy(), self.answers.numpy(), labels=list(classes)
        )
        return counts

    def commonest_confusions(self, most: int = 10) -> list[dict[str, str | int]]:
        """The most frequent errors, the most frequent first."""
        wrong = self.confusions()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = (np.unravel_index(place, wrong.shape) for place in order)
        return [
            {
                "label": self.names[row],
                "taken_for": self.names[column],
                "times": int(wrong[row, column]),
            }
            for row, column in pairs
            if wrong[row, column]
        ]


def judge(
    network: nn.Module, pixels: Tensor, labels: Tensor, temperature: float, names: Sequence[str]
) -> Judged:
    """The network's answers to pixels (n, 28, 28) uint8 with labels (n,)."""
    return Judged(logits_of(network, pixels).cpu(), labels.cpu(), temperature, names)


def accuracy_under_corruptions(
    network: nn.Module, pixels: Tensor, labels: Tensor
) -> dict[str, float]:
    """The fraction answered right, 0..1, under each of CORRUPTIONS.

    `pixels` (n, 28, 28) uint8 and `labels` (n,) on the CPU, as `network`.
    """
    ink = as_ink(pixels)  # (n, 1, 28, 28)

    def accuracy(name: str) -> float:
        answers = _answers(network, torch.split(corrupted(name, ink), BATCH)).argmax(1)
        return float((answers == labels).double().mean())

    return {name: accuracy(name) for name in CORRUPTIONS}


def as_ink(pixels: Tensor) -> Tensor:
    """The network's input: pixels (n, 28, 28) uint8 as ink (n, 1, 28, 28) float32, 0..1."""
    return pixels.unsqueeze(1).to(torch.float32) / 255  # (n, 1, 28, 28)


def logits_of(network: nn.Module, pixels: Tensor) -> Tensor:
    """The network's answers to pixels (n, 28, 28) uint8, as (n, classes) float32."""
    return _answers(network, (as_ink(part) for part in torch.split(pixels, BATCH)))


@torch.no_grad()
def _answers(network: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    network.eval()
    return torch.cat([network(ink) for ink in batches])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The number that logits must be divided by for their probabilities to be honest.

    Minimises the likelihood loss of logits (n, classes) for labels (n,), of pictures held out from
    training. 1 where these are fewer than FEWEST, which would fit one that is too low. Bounded to
    0.05..20, which only matters where every picture is right or all are at random.
    """
    if len(labels) < FEWEST:
        return 1.0
    logits, labels = logits.cpu(), labels.cpu()
    sharpness = torch.zeros(1, requires_grad=True)  # log(1 / temperature): the loss is smooth in it
    optimiser = torch.optim.LBFGS([sharpness], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(logits * sharpness.exp(), labels)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return float(np.clip(np.exp(-sharpness.item()), 0.05, 20))


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error, 0..1: how far confidence and accuracy are apart, by bin.

    `logits` (n, classes) are divided by the temperature already; `labels` (n,).
    """
    return float(
        sum(abs(bar.accuracy - bar.confidence) * bar.share for bar in reliability(logits, labels))
    )


@dataclass(frozen=True)
class Bar:
    """The answers of one bin of confidence. All fractions."""

    low: float  # where the bin begins
    accuracy: float
    confidence: float  # mean
    share: float  # of all answers
    count: int  # of answers


def reliability(logits: Tensor, labels: Tensor) -> list[Bar]:
    """Accuracy beside confidence, in the bins of equal width that hold any answer.

    `logits` (n, classes) are divided by the temperature already; `labels` (n,).
    """
    confidence, answers = (part.numpy() for part in F.softmax(logits, 1).max(1))  # (n,)
    right: NDArray[np.bool_] = answers == labels.numpy()  # (n,)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bar(
            low=b / BINS,
            accuracy=float(right[bin_of == b].mean()),
            confidence=float(confidence[bin_of == b].mean()),
            share=float((bin_of == b).mean()),
            count=int((bin_of == b).sum()),
        )
        for b in np.unique(bin_of)
    ]
