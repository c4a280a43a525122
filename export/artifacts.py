"""Write the graph as ONNX and as TorchScript, one file each."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from contract.card import INPUT, LOGITS, PROBABILITIES, SIDE
from export.graph import Graph

OPSET = 18  # ONNX operator set; what torch 2.13's exporter writes without conversion


def write_onnx(graph: Graph, path: Path) -> None:
    """model.onnx: float32 inside, weights in the file, batch size free; checked by ONNX itself."""
    with quiet():
        program = torch.onnx.export(
            graph,
            (_example(),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[LOGITS, PROBABILITIES],
            dynamic_shapes={"pixels": {0: torch.export.Dim("n")}},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)
    onnx.checker.check_model(onnx.load(path), full_check=True)


def write_torchscript(graph: Graph, path: Path) -> None:
    """model.ts: for C++ and mobile programs that hold libtorch."""
    with quiet():
        torch.jit.trace(graph, _example()).save(str(path))  # type: ignore[no-untyped-call]


def write_sample(picture: NDArray[np.uint8], path: Path) -> None:
    """One test picture (28, 28) as a PNG, to try the service with."""
    Image.fromarray(picture).save(path)


def _example() -> Tensor:
    """Three pictures: with one, the exporter would take the batch size for a constant."""
    return torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without PyTorch's warnings: TorchScript is deprecated; the proof will say when it ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
