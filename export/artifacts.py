"""The artifacts of a version: how each is written, run again, and how close it has to come.

    onnx   model.onnx       float32, what the service runs by default
    fp16   model.fp16.onnx  half precision inside: half the size, and fast on a GPU
    int8   model.int8.onnx  8-bit integers where they pay, a quarter of the size
    ts     model.ts         TorchScript, for C++ and mobile programs that hold libtorch
    pt2    model.pt2        torch.export's format, TorchScript's successor

All have the same input and outputs, in batches of any size. The float32 ones must predict as
PyTorch does; the others may lose a little accuracy, and are left out if they lose more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import onnx
import torch
from torch import Tensor

from contract.card import (
    EXPORTED,
    FP16,
    INPUT,
    INT8,
    LOGITS,
    ONNX,
    PROBABILITIES,
    SIDE,
    TORCHSCRIPT,
    tensors,
)
from export import runners
from export.quantise import quantise
from export.runners import Graph, Model, Pixels, quiet

OPSET = 18  # ONNX operator set; what torch 2.13's exporter writes without conversion
OPSETS = range(18, 25)  # that torch 2.13 and ONNX Runtime 1.31 both know


class BadGraph(Exception):
    """What an exporter wrote is not the graph that a version must hold; the message says why."""


@dataclass(frozen=True)
class Source:
    """What artifacts are made from."""

    graph: Graph
    calibration: Pixels | None  # (n, 28, 28), pictures the weights learned from; for int8 alone
    opset: int


@dataclass(frozen=True)
class Artifact:
    file: str
    write: Callable[[Source, Path], None]
    load: Callable[[Path], Model]
    may_lose: float | None  # of the accuracy, 0..1; None: the very same answers


def write_onnx(source: Source, path: Path) -> None:
    _write_onnx(source.graph, path, source.opset)


def write_fp16(source: Source, path: Path) -> None:
    _write_onnx(source.graph.in_half_precision(), path, source.opset)


def write_int8(source: Source, path: Path) -> None:
    """Made from model.onnx, which must lie beside it."""
    assert source.calibration is not None, "int8 needs calibration images"
    quantise(path.with_name(ONNX), path, source.calibration)
    check_onnx(path)


def write_torchscript(source: Source, path: Path) -> None:
    with quiet(), _through_memory(path) as file:
        torch.jit.save(torch.jit.trace(source.graph, _example()), file)  # type: ignore[no-untyped-call]


def write_exported(source: Source, path: Path) -> None:
    with quiet(), _through_memory(path) as file:
        program = torch.export.export(source.graph, (_example(),), dynamic_shapes=_any_batch())
        torch.export.save(program, file)


ARTIFACTS = {
    "onnx": Artifact(ONNX, write_onnx, runners.onnx_runtime, None),
    "ts": Artifact(TORCHSCRIPT, write_torchscript, runners.torchscript, None),
    "pt2": Artifact(EXPORTED, write_exported, runners.exported_program, None),
    "fp16": Artifact(FP16, write_fp16, runners.onnx_runtime, 0.0005),
    "int8": Artifact(INT8, write_int8, runners.onnx_runtime, 0.0015),
}


def check_onnx(path: Path) -> None:
    """BadGraph unless ONNX finds the file valid, and only the batch size is free in it."""
    model = onnx.load(path, load_external_data=False)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BadGraph(f"{path.name} is no valid ONNX: {error}") from error
    found = [_shape(value) for value in (*model.graph.input, *model.graph.output)]
    classes = found[-1][1][-1]
    graph_input, graph_outputs = tensors(classes if isinstance(classes, int) else 0)
    wanted = [(each.name, each.shape) for each in (graph_input, *graph_outputs)]
    if found != wanted:
        raise BadGraph(f"{path.name} has the tensors {found}, not {wanted}")
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer):
        raise BadGraph(f"{path.name} keeps weights in other files")


def _write_onnx(graph: Graph, path: Path, opset: int) -> None:
    with quiet():
        program = torch.onnx.export(
            graph,
            (_example(),),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[LOGITS, PROBABILITIES],
            dynamic_shapes=_any_batch(),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)
    check_onnx(path)


@contextmanager
def _through_memory(path: Path) -> Iterator[BytesIO]:
    """What PyTorch writes to a path ends the process with abort() where the disk is full."""
    file = BytesIO()
    yield file
    path.write_bytes(file.getvalue())


def _example() -> Tensor:
    """Three pictures: with one, the exporter would take the batch size for a constant."""
    return torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)


def _any_batch() -> dict[str, dict[int, torch.export.Dim]]:
    return {"pixels": {0: torch.export.Dim("n")}}


def _shape(value: onnx.ValueInfoProto) -> tuple[str, tuple[int | str, ...]]:
    dimensions = value.type.tensor_type.shape.dim
    return value.name, tuple(each.dim_param or each.dim_value for each in dimensions)
