"""The proof: every artifact answers the whole test set as PyTorch does, or nothing is published.

PyTorch here is the checkpoint in eager mode. The test set comes from the run's own folder, in
batches of several sizes, one among them, so that the free batch axis is proven too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.card import INPUT, LOGITS, PROBABILITIES, Parity
from export.artifacts import quiet
from export.graph import Graph

TOLERANCE = 1e-4  # largest difference between two logits
BATCHES = (1, 2, 7, 64, 250)  # sizes, in turn

Pixels = NDArray[np.uint8]  # (n, 28, 28)
Rows = NDArray[np.float32]  # (n, classes)
Model = Callable[[Pixels], tuple[Rows, Rows]]  # pixels -> logits, probabilities


class ProofFailed(Exception):
    """An artifact does not answer as PyTorch does; the message says which, where, by how much."""


@dataclass(frozen=True)
class Answers:
    logits: Rows
    probabilities: Rows

    @property
    def digits(self) -> NDArray[np.int64]:
        digits: NDArray[np.int64] = self.logits.argmax(1)
        return digits


def answers_of(model: Model, pixels: Pixels) -> Answers:
    """The model's answers to all `pixels`, asked for in batches of many sizes."""
    answers = [model(part) for part in _batches(pixels)]
    logits, probabilities = (np.concatenate(rows) for rows in zip(*answers, strict=True))
    return Answers(logits, probabilities)


def prove(
    name: str,
    answers: Answers,
    reference: Answers,
    labels: NDArray[np.uint8],
    tolerance: float = TOLERANCE,
) -> Parity:
    """How close an artifact is to `reference`; ProofFailed if it is not the same model."""
    difference = np.abs(answers.logits - reference.logits)  # (n, classes)
    different = np.flatnonzero(answers.digits != reference.digits)
    if len(different):
        raise ProofFailed(
            f"{name} answers {len(different)} of {len(labels)} test pictures otherwise than "
            f"PyTorch; the first are pictures {different[:5].tolist()}"
        )
    if not difference.max() <= tolerance:  # NaN is not
        raise ProofFailed(
            f"{name} differs from PyTorch by up to {difference.max():.2e} in a logit (test picture "
            f"{difference.max(1).argmax()}), more than the {tolerance:.0e} allowed"
        )
    off = np.abs(answers.probabilities - _softmax(answers.logits)).max()
    if not off <= tolerance:
        raise ProofFailed(f"{name}: probabilities are not the softmax of logits, by {off:.2e}")
    return Parity(
        accuracy=float((answers.digits == labels).mean()),
        different_answers=len(different),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
    )


def pytorch(graph: Graph) -> Model:
    @torch.inference_mode()
    def run(pixels: Pixels) -> tuple[Rows, Rows]:
        return _arrays(graph(torch.from_numpy(pixels)))

    return run


def torchscript(path: Path) -> Model:
    with quiet():
        module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def run(pixels: Pixels) -> tuple[Rows, Rows]:
        return _arrays(module(torch.from_numpy(pixels)))

    return run


def onnx_runtime(path: Path) -> Model:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(pixels: Pixels) -> tuple[Rows, Rows]:
        logits, probabilities = session.run([LOGITS, PROBABILITIES], {INPUT: pixels})
        return logits, probabilities

    return run


def _batches(pixels: Pixels) -> Iterator[Pixels]:
    start, turn = 0, 0
    while start < len(pixels):
        size = BATCHES[turn % len(BATCHES)]
        yield pixels[start : start + size]
        start, turn = start + size, turn + 1


def _arrays(tensors: tuple[Tensor, Tensor]) -> tuple[Rows, Rows]:
    logits, probabilities = tensors
    return logits.numpy(), probabilities.numpy()


def _softmax(logits: Rows) -> Rows:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    softmax: Rows = powers / powers.sum(1, keepdims=True)
    return softmax
