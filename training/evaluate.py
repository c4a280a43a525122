"""How good a network is, and how sure it may be of itself."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import ClassReport, Evaluation

BINS = 15  # of the expected calibration error, as in Guo et al., arXiv 1706.04599


def as_ink(pixels: Tensor) -> Tensor:
    """What the network eats: pixels (n, 28, 28) uint8 as ink (n, 1, 28, 28) float32, 0..1."""
    return pixels.unsqueeze(1).to(torch.float32) / 255  # (n, 1, 28, 28)


@torch.no_grad()
def logits_of(network: nn.Module, pixels: Tensor) -> Tensor:
    """The network's answers to pixels (n, 28, 28) uint8, as (n, classes) float32."""
    network.eval()
    return torch.cat([network(as_ink(part)) for part in torch.split(pixels, 500)])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The number that logits must be divided by for their probabilities to be honest.

    Minimises the likelihood loss on pictures held out from training. Bounded to 0.05..20, which
    only matters where there is nothing left to learn: every held-out picture right, or all at
    random.
    """
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


def evaluate(logits: Tensor, labels: Tensor, temperature: float, names: list[str]) -> Evaluation:
    """Everything the model card says of the test set. `logits` are those of temperature 1."""
    answers, truth = logits.argmax(1).numpy(), labels.numpy()
    columns = precision_recall_fscore_support(
        truth, answers, labels=list(range(len(names))), zero_division=0.0
    )
    return Evaluation(
        accuracy=float((answers == truth).mean()),
        calibration_error=calibration_error(logits / temperature, labels),
        calibration_error_before=calibration_error(logits, labels),
        per_class=tuple(
            ClassReport(
                label=name,
                precision=float(precision),
                recall=float(recall),
                f1=float(f1),
                support=int(support),
            )
            for name, precision, recall, f1, support in zip(names, *columns, strict=True)
        ),
    )


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error: how far confidence and accuracy are apart, weighted by bin."""
    confidence, answers = (part.numpy() for part in F.softmax(logits, 1).max(1))  # (n,)
    right: NDArray[np.bool_] = answers == labels.numpy()  # (n,)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = (
        abs(right[bin_of == b].mean() - confidence[bin_of == b].mean()) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    )
    return float(sum(gaps))
