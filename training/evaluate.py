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
BATCH = 500  # images at most
BATCH_LEVELS = 5_000_000  # pixels times channels of a batch, which bounds the memory
MOST_TABULATED = 1000  # classes; a table of a million confusions takes 8 MB
FEWEST = 200  # images needed to fit a temperature


@dataclass(frozen=True)
class Judged:
    """The outputs of a network for labelled images. All tensors are on the CPU."""

    logits: Tensor  # (n, classes), with temperature 1
    labels: Tensor  # (n,) int64
    temperature: float
    names: Sequence[str]  # of the classes

    @property
    def predicted(self) -> Tensor:
        return self.logits.argmax(1)  # (n,)

    @property
    def probabilities(self) -> Tensor:
        return F.softmax(self.logits / self.temperature, 1)  # (n, classes)

    @property
    def accuracy(self) -> float:
        return float((self.predicted == self.labels).double().mean())

    def errors(self) -> NDArray[np.int64]:
        """The indices of the misclassified images, the most confident errors first."""
        wrong = np.flatnonzero((self.predicted != self.labels).numpy())
        confidence = self.probabilities.max(1).values.numpy()[wrong]
        errors: NDArray[np.int64] = wrong[np.argsort(-confidence, kind="stable")]
        return errors

    def evaluation(self) -> Evaluation:
        """The results on a test set that the model card holds."""
        columns = precision_recall_fscore_support(
            self.labels.numpy(),
            self.predicted.numpy(),
            labels=list(range(len(self.names))),
            zero_division=0.0,
        )
        return Evaluation(
            accuracy=self.accuracy,
            calibration_error=calibration_error(self.logits / self.temperature, self.labels),
            calibration_error_before=calibration_error(self.logits, self.labels),
            per_class=tuple(
                ClassReport(label=name, precision=p, recall=r, f1=f1, support=int(support))
                for name, p, r, f1, support in zip(
                    self.names, *(column.tolist() for column in columns), strict=True
                )
            ),
        )

    def measured(self) -> dict[str, Any]:
        """What training_metrics.json holds in addition to the evaluation."""
        return {
            "accuracy": self.accuracy,
            "confusion_matrix": self.confusions().tolist() if self.tabulates else None,
            "commonest_confusions": self.commonest_confusions(),
            "reliability": [
                {"confidence": bar.confidence, "accuracy": bar.accuracy, "count": bar.count}
                for bar in reliability(self.logits / self.temperature, self.labels)
            ],  # the data of reliability.png
        }

    def summary(self) -> str:
        found = self.evaluation()
        return (
            f"{found.accuracy:.2%} of {len(self.labels):,} test images correct, calibration error "
            f"{found.calibration_error:.2%}"
        )

    @property
    def tabulates(self) -> bool:
        """Whether the classes are few enough for a table of all their confusions."""
        return len(self.names) <= MOST_TABULATED

    def confusions(self) -> NDArray[np.int64]:
        """How often class `row` was predicted as class `column`, (classes, classes)."""
        return confusions_of(self.labels.numpy(), self.predicted.numpy(), len(self.names))

    def commonest_confusions(self, most: int = 10) -> list[dict[str, str | int]]:
        """The most frequent errors, the most frequent one first."""
        wrong = torch.stack([self.labels, self.predicted], 1)[self.predicted != self.labels]
        pairs, times = np.unique(wrong.numpy(), axis=0, return_counts=True)  # in order of labels
        order = np.argsort(-times, kind="stable")[:most]
        return [
            {"label": self.names[label], "taken_for": self.names[other], "times": int(count)}
            for (label, other), count in zip(pairs[order], times[order], strict=True)
        ]


def confusions_of(
    labels: NDArray[Any], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """How often class `row` was predicted as class `column`, (classes, classes).

    `labels` and `predicted` (n,) are indices of classes.
    """
    counts: NDArray[np.int64] = confusion_matrix(labels, predicted, labels=list(range(classes)))
    return counts


def judge(
    network: nn.Module, pixels: Tensor, labels: Tensor, temperature: float, names: Sequence[str]
) -> Judged:
    """The outputs of `network` for pixels (n, h, w) or (n, h, w, 3) uint8 with labels (n,)."""
    return Judged(logits_of(network, pixels).cpu(), labels.cpu(), temperature, names)


def accuracy_under_corruptions(
    network: nn.Module, pixels: Tensor, labels: Tensor
) -> dict[str, float]:
    """The accuracy, 0..1, under each of CORRUPTIONS.

    `pixels` (n, 28, 28) uint8, `labels` (n,) and the network are on the CPU.
    """
    ink, accuracies = as_input(pixels), {}  # (n, 1, 28, 28)
    for name in CORRUPTIONS:
        logits = _logits(network, torch.split(corrupted(name, ink), BATCH))
        accuracies[name] = float((logits.argmax(1) == labels).double().mean())
    return accuracies


def as_input(pixels: Tensor) -> Tensor:
    """The network's input: pixels (n, h, w) or (n, h, w, 3) uint8 as (n, c, h, w) float32, 0..1."""
    channels = pixels.unsqueeze(1) if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    return channels.to(torch.float32) / 255  # (n, c, h, w)


def logits_of(network: nn.Module, pixels: Tensor) -> Tensor:
    """The logits (n, classes) float32 for pixels (n, h, w) or (n, h, w, 3) uint8."""
    batch = max(1, min(BATCH, BATCH_LEVELS // pixels[0].numel())) if len(pixels) else BATCH
    return _logits(network, (as_input(part) for part in torch.split(pixels, batch)))


@torch.no_grad()
def _logits(network: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    network.eval()
    # Channels last: convolutions over colour images take half the CPU time.
    return torch.cat(
        [network(images.contiguous(memory_format=torch.channels_last)) for images in batches]
    )


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits are divided to give calibrated probabilities.

    It minimises the negative log-likelihood of logits (n, classes) for labels (n,), of validation
    images. It is 1 for fewer than FEWEST images, with which it would be too low, and bounded to
    0.05..20, which only matters if all predictions are correct or random.
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
    """Expected calibration error, 0..1: the mean difference of confidence and accuracy, by bin.

    `logits` (n, classes) are already divided by the temperature; `labels` (n,).
    """
    return float(
        sum(abs(bar.accuracy - bar.confidence) * bar.share for bar in reliability(logits, labels))
    )


@dataclass(frozen=True)
class Bar:
    """The predictions in one bin of confidence. All floats are fractions."""

    low: float  # lower bound of the bin
    accuracy: float
    confidence: float  # mean
    share: float  # of all predictions
    count: int  # of predictions


def reliability(logits: Tensor, labels: Tensor) -> list[Bar]:
    """Accuracy and confidence, in those bins of equal width that are not empty.

    `logits` (n, classes) are already divided by the temperature; `labels` (n,).
    """
    confidence, predicted = (part.numpy() for part in F.softmax(logits, 1).max(1))  # (n,)
    right: NDArray[np.bool_] = predicted == labels.numpy()  # (n,)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bar(
            low=b / BINS,
            accuracy=float(right[inside].mean()),
            confidence=float(confidence[inside].mean()),
            share=float(inside.mean()),
            count=int(inside.sum()),
        )
        for b in np.unique(bin_of)
        for inside in [bin_of == b]
    ]
