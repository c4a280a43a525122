"""Small ONNX classifiers, as other programs write them, and their import as the model `own`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from contract.card import ModelCard
from contract.errors import NoVersion
from contract.store import Store
from export.__main__ import main

SIDE, CLASSES = 8, 3
LABELS = ("cat", "dog", "bird")


@dataclass(frozen=True)
class Tiny:
    """A convolution, the mean of each channel, and a linear layer."""

    batch: int | str = "n"
    channels: int = 3
    layout: str = "NCHW"
    dtype: int = TensorProto.FLOAT
    softmax: bool = False
    opset: int = 18
    flat: int = -1  # channels that the reshape names; -1: what remains
    allowzero: int | None = None  # an attribute of the reshape
    outputs: tuple[int | str, ...] | None = None  # shape; None: (batch, CLASSES)
    tail: Sequence[onnx.NodeProto] = ()  # from "scores" to "out"
    scale: float = 1.0  # of the last weights

    def model(self) -> ModelProto:
        rng = np.random.default_rng(0)
        weights = {
            "kernels": rng.normal(0, 1, (4, self.channels, 3, 3)),
            "matrix": rng.normal(0, 3 * self.scale, (4, CLASSES)),
            "bias": np.arange(CLASSES, dtype=float),
        }
        image = (SIDE, SIDE + 2)
        sides = {
            "NCHW": (self.channels, *image), "NHWC": (*image, self.channels), "NHW": image,
        }  # fmt: skip
        nodes, last = [], "image"
        if self.layout == "NHWC":
            nodes.append(helper.make_node("Transpose", [last], ["planes"], perm=[0, 3, 1, 2]))
            last = "planes"
        if self.layout == "NHW":
            weights["planes_shape"] = np.array([0, 1, *image])
            nodes.append(helper.make_node("Reshape", [last, "planes_shape"], ["planes"]))
            last = "planes"
        if self.dtype != TensorProto.FLOAT:
            nodes.append(helper.make_node("Cast", [last], ["floats"], to=TensorProto.FLOAT))
            last = "floats"
        flat = [self.batch if isinstance(self.batch, int) else 0, self.flat]
        weights["flat_shape"] = np.array(flat)
        nodes += [
            helper.make_node("Conv", [last, "kernels"], ["maps"], "conv"),
            helper.make_node("Relu", ["maps"], ["active"], "relu"),
            helper.make_node("GlobalAveragePool", ["active"], ["means"], "pool"),
            helper.make_node(
                "Reshape", ["means", "flat_shape"], ["flat"], "flatten", allowzero=self.allowzero
            ),
            helper.make_node("Gemm", ["flat", "matrix", "bias"], ["scores"], "linear"),
        ]
        last_node = helper.make_node("Softmax", ["scores"], ["out"], "softmax", axis=1)
        if not self.softmax:
            last_node = helper.make_node("Identity", ["scores"], ["out"], "last")
        nodes += self.tail or [last_node]
        shape = [self.batch, *sides[self.layout]]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("image", self.dtype, shape)],
            [
                helper.make_tensor_value_info(
                    "out", TensorProto.FLOAT, self.outputs or (self.batch, CLASSES)
                )
            ],
            [
                numpy_helper.from_array(
                    value.astype(np.int64 if value.dtype.kind == "i" else np.float32), name
                )
                for name, value in weights.items()
            ],
        )
        opset = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)

    def save(self, folder: Path) -> Path:
        path = folder / "tiny.onnx"
        onnx.save(self.model(), path)
        return path


class Imported:
    """The current version of the model `own`, and its graph."""

    def __init__(self, models: Path) -> None:
        self.version = Store(models, "own").open()
        self.card: ModelCard = self.version.card
        self._session = onnxruntime.InferenceSession(self.version.folder / "model.onnx")

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        return tuple(self._session.run(["logits", "probabilities"], {"pixels": pixels}))


def run(labels: Path, *words: str | Path) -> int:
    """Import as the model `own` into the folder of the labels."""
    fixed = ["--name", "own", "--labels", str(labels), "--models", str(labels.parent / "models")]
    return main(["import", *map(str, words), *fixed])


def imported(labels: Path, *words: str | Path) -> Imported:
    assert run(labels, *words) == 0
    return Imported(labels.parent / "models")


def refusal(capsys: pytest.CaptureFixture[str], labels: Path, *words: str | Path) -> str:
    """The error about an import that publishes nothing."""
    assert run(labels, *words) == 1
    with pytest.raises(NoVersion):
        Store(labels.parent / "models", "own").current()
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.endswith(". Nothing was published.")
    return message
