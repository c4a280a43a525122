"""The exported graph, and each kind of artifact as a function from pixels to predictions.

    pixels uint8 -> planes (n, c, h, w) -> network -> / temperature -> logits
    (n, h, w[, 3])                                    softmax       -> probabilities

Scaling, normalisation and calibration are part of the graph, so that no program that runs it can do
them differently. The network may use half precision: inputs and outputs stay the same, and the
softmax is always float32.
"""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.card import INPUT, LOGITS, PROBABILITIES

Pixels = NDArray[np.uint8]  # (n, h, w) or (n, h, w, 3)
Labels = NDArray[np.integer[Any]]  # (n,), indices of classes
Rows = NDArray[np.float32]  # (n, classes)
Model = Callable[[Pixels], tuple[Rows, Rows]]  # pixels -> logits, probabilities


class Graph(nn.Module):
    def __init__(
        self, network: nn.Module, temperature: float, precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.precision = precision
        self.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        planes = pixels.unsqueeze(1) if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
        image = planes.to(self.precision) / 255  # (n, c, h, w), 0..1
        logits = self.network(image).to(torch.float32) / self.temperature  # (n, classes)
        return logits, torch.softmax(logits, 1)

    def in_half_precision(self) -> Self:
        """A copy with weights and computation in float16."""
        return type(self)(copy.deepcopy(self.network).half(), self.temperature, torch.float16)


def pytorch(module: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Model:
    @torch.inference_mode()
    def run(pixels: Pixels) -> tuple[Rows, Rows]:
        logits, probabilities = module(torch.from_numpy(pixels))
        return logits.numpy(), probabilities.numpy()

    return run


def torchscript(path: Path) -> Model:
    with quiet():
        return pytorch(torch.jit.load(str(path)))  # type: ignore[no-untyped-call]


def exported_program(path: Path) -> Model:
    with quiet():
        return pytorch(torch.export.load(path).module())


def onnx_runtime(path: Path) -> Model:
    """ONNX Runtime on one CPU thread, with errors where it would otherwise only warn."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; the log would repeat them
    options.add_session_config_entry("session.strict_shape_type_inference", "1")
    options.add_session_config_entry("session.allow_released_opsets_only", "1")
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )

    def run(pixels: Pixels) -> tuple[Rows, Rows]:
        logits, probabilities = session.run([LOGITS, PROBABILITIES], {INPUT: pixels})
        return logits, probabilities

    return run


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress PyTorch's warnings: TorchScript is deprecated, but proven to work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
