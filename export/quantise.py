"""8-bit integers where they pay: static quantisation with ONNX Runtime's own tool.

Weights are quantised channel by channel, activations by the range they took on pictures that the
network learned from. Quantise and dequantise stand around each operator (QDQ), so that every
provider may fuse them as it can. The last layer's answer stays float32: logits that lie close
together would otherwise be rounded onto each other.

Weights take 7 of the 8 bits: processors with AVX2 and without VNNI add two products in 16 bits,
which larger weights overflow, and the same graph would answer otherwise on another processor.
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from contract.card import INPUT

BATCH = 100  # pictures a call
# What has integer kernels; scaling and softmax cost nothing and stay exact.
OPERATORS = ["Conv", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool", "Add"]


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        size = min(BATCH, len(pixels))
        starts = range(0, len(pixels) - size + 1, size)  # the tool wants batches of one size
        self._batches = iter([{INPUT: pixels[start : start + size]} for start in starts])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self._batches, None)


def quantise(source: Path, path: Path, calibration: NDArray[np.uint8]) -> None:
    """Write `path`, the float32 graph of `source` with integers inside.

    `calibration` is (n, 28, 28): pictures on which the ranges of all activations are measured.
    """
    with TemporaryDirectory(dir=path.parent) as folder, _silent():
        prepared = Path(folder) / "prepared.onnx"
        # Its symbolic shape inference is for graphs with free inner shapes; here only n is free.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            calibrate_method=CalibrationMethod.Percentile,  # a few outliers do not set the range
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=OPERATORS,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The tool prints its progress and logs advice on steps that were taken."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
