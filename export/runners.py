"""Each kind of artifact as the same thing: a function from pixels to logits and probabilities."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.card import INPUT, LOGITS, PROBABILITIES
from export.graph import Graph

Pixels = NDArray[np.uint8]  # (n, 28, 28)
Rows = NDArray[np.float32]  # (n, classes)
Model = Callable[[Pixels], tuple[Rows, Rows]]  # pixels -> logits, probabilities


def pytorch(graph: Graph) -> Model:
    return _of_module(graph)


def torchscript(path: Path) -> Model:
    with quiet():
        return _of_module(torch.jit.load(str(path)))  # type: ignore[no-untyped-call]


def exported_program(path: Path) -> Model:
    with quiet():
        return _of_module(torch.export.load(path).module())


def onnx_runtime(path: Path) -> Model:
    """ONNX Runtime on one CPU thread, refusing what it would otherwise only warn of."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
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
    """Without PyTorch's warnings: TorchScript is deprecated; the proof will say when it ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _of_module(module: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Model:
    @torch.inference_mode()
    def run(pixels: Pixels) -> tuple[Rows, Rows]:
        logits, probabilities = module(torch.from_numpy(pixels))
        return logits.numpy(), probabilities.numpy()

    return run
