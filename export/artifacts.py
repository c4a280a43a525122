"""The artifacts of a version: how each is written and loaded, and its required accuracy.

    onnx   model.onnx       float32, which the service runs by default
    fp16   model.fp16.onnx  half precision inside: half the size, and fast on a GPU
    int8   model.int8.onnx  8-bit integers inside: a quarter of the size
    ts     model.ts         TorchScript, for C++ and mobile programs that use libtorch
    pt2    model.pt2        torch.export's format, the successor of TorchScript

All have the same input and outputs, in batches of any size. The float32 artifacts must predict as
PyTorch does. The others may lose a little accuracy, and are left out if they lose more.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from contract import card
from export import runners
from export.runners import Graph, Model, Pixels, quiet

OPSET = 18  # ONNX operator set that torch 2.13 writes without conversion
OPSETS = range(18, 25)  # supported by both torch 2.13 and ONNX Runtime 1.31

CALIBRATION, CALIBRATION_BATCH = 1000, 100  # images at most; images per call
# The tool keeps all activations of all calibration images, which are about 100 times as large.
CALIBRATION_BYTES, FEWEST_CALIBRATION = 2**20, 32  # of pixels; images at least
# Operators with integer kernels. Scaling and softmax are cheap and stay exact.
QUANTISED = ["Conv", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool", "Add"]


class BadGraph(Exception):
    """An exporter wrote a graph that a version must not hold; the message gives the reason."""


@dataclass(frozen=True)
class Source:
    """The input of all exporters."""

    graph: Graph
    calibration: Pixels | None  # training images; for int8 only
    opset: int
    shape: tuple[int, ...] = (card.SIDE, card.SIDE)  # of one image: (h, w) or (h, w, 3)


@dataclass(frozen=True)
class Artifact:
    file: str
    write: Callable[[Source, Path], None]
    load: Callable[[Path], Model]
    may_lose: float | None  # loss of accuracy, 0..1; None: predictions must be equal


def write_onnx(source: Source, path: Path) -> None:
    _write_onnx(source.graph, source, path)


def write_fp16(source: Source, path: Path) -> None:
    _write_onnx(source.graph.in_half_precision(), source, path)


def write_int8(source: Source, path: Path) -> None:
    """Quantise model.onnx, which must be in the same folder."""
    assert source.calibration is not None, "int8 needs calibration images"
    quantise(path.with_name(card.ONNX), path, source.calibration)
    check_onnx(path, source.shape)


def write_torchscript(source: Source, path: Path) -> None:
    with quiet(), _through_memory(path) as file:
        torch.jit.save(torch.jit.trace(source.graph, _example(source.shape)), file)  # type: ignore[no-untyped-call]


def write_exported(source: Source, path: Path) -> None:
    with quiet(), _through_memory(path) as file:
        program = torch.export.export(
            source.graph, (_example(source.shape),), dynamic_shapes=_any_batch()
        )
        torch.export.save(program, file)


ARTIFACTS = {
    "onnx": Artifact(card.ONNX, write_onnx, runners.onnx_runtime, None),
    "ts": Artifact(card.TORCHSCRIPT, write_torchscript, runners.torchscript, None),
    "pt2": Artifact(card.EXPORTED, write_exported, runners.exported_program, None),
    "fp16": Artifact(card.FP16, write_fp16, runners.onnx_runtime, 0.0005),
    "int8": Artifact(card.INT8, write_int8, runners.onnx_runtime, 0.0015),
}


def check_onnx(path: Path, shape: tuple[int, ...] = (card.SIDE, card.SIDE)) -> None:
    """BadGraph unless the file is valid ONNX and only its batch size is dynamic.

    `shape` is that of one image.
    """
    model = onnx.load(path, load_external_data=False)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BadGraph(f"{path.name} is not valid ONNX: {error}") from error
    found = [_shape(value) for value in (*model.graph.input, *model.graph.output)]
    classes = found[-1][1][-1]
    graph_input, graph_outputs = card.tensors(classes if isinstance(classes, int) else 0, shape)
    wanted = [(each.name, each.shape) for each in (graph_input, *graph_outputs)]
    if found != wanted:
        raise BadGraph(f"{path.name} has the tensors {found}, not {wanted}")
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer):
        raise BadGraph(f"{path.name} stores weights in other files")


def _write_onnx(graph: Graph, source: Source, path: Path) -> None:
    with quiet():
        program = torch.onnx.export(
            graph,
            (_example(source.shape),),
            dynamo=True,
            opset_version=source.opset,
            input_names=[card.INPUT],
            output_names=[card.LOGITS, card.PROBABILITIES],
            dynamic_shapes=_any_batch(),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)
    check_onnx(path, source.shape)


@contextmanager
def _through_memory(path: Path) -> Iterator[BytesIO]:
    """PyTorch aborts the process if the disk is full, unless it writes to memory."""
    file = BytesIO()
    yield file
    path.write_bytes(file.getvalue())


def _example(shape: tuple[int, ...]) -> Tensor:
    """Three images: with one, the exporter would treat the batch size as a constant."""
    return torch.zeros(3, *shape, dtype=torch.uint8)


def _any_batch() -> dict[str, dict[int, torch.export.Dim]]:
    return {"pixels": {0: torch.export.Dim("n")}}


def _shape(value: onnx.ValueInfoProto) -> tuple[str, tuple[int | str, ...]]:
    dimensions = value.type.tensor_type.shape.dim
    return value.name, tuple(each.dim_param or each.dim_value for each in dimensions)


# ---- quantisation ----------------------------------------------------------------------------


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    def __init__(self, pixels: Pixels) -> None:
        pixels = pixels[: _most(pixels)]
        size = min(CALIBRATION_BATCH, len(pixels))
        starts = range(0, len(pixels) - size + 1, size)  # the tool needs batches of equal size
        self._batches = iter([{card.INPUT: pixels[start : start + size]} for start in starts])

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._batches, None)


def part_for_calibration(pixels: Pixels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the images for `quantise`, and of the others, which measure what it writes.

    They are for networks that come without training images. The first are in random order.
    """
    order = np.random.default_rng(0).permutation(len(pixels))
    most = min(CALIBRATION, _most(pixels), max(1, len(pixels) // 5))
    return order[:most], np.sort(order[most:])


def _most(pixels: Pixels) -> int:
    """Images that the tool can keep in memory."""
    return max(FEWEST_CALIBRATION, CALIBRATION_BYTES // int(pixels[0].nbytes))


def quantise(source: Path, path: Path, calibration: Pixels) -> None:
    """Write to `path` the float32 graph of `source`, quantised to 8-bit integers.

    The ranges of all activations are measured on the images `calibration`; weights are
    quantised channel by channel. Quantise and dequantise operators surround each operator (QDQ), so
    that every provider can fuse them. The output of the last layer stays float32, because rounding
    could make close logits equal.

    Weights use 7 of the 8 bits: processors with AVX2 but without VNNI add two products in 16 bits,
    which larger weights would overflow, so that the graph would predict differently there.
    """
    with TemporaryDirectory(dir=path.parent) as folder, _silent():
        prepared = Path(folder) / "prepared.onnx"
        # Symbolic shape inference is for graphs with dynamic inner shapes; here only n is dynamic.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            calibrate_method=CalibrationMethod.Percentile,  # ignores a few outliers
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=QUANTISED,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress the tool's progress and its advice on steps that were already taken."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
