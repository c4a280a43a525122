"""Versions of tiny models of any shape and labels, as if they were imported, made without PyTorch.

    pixels (n, h, w[, 3]) --mean over the image--> (n, c) --a matrix--> logits --> probabilities

The model of COLOURS names the colour that an image has most of.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.card import (
    GOLDEN,
    ONNX,
    SAMPLE_LABELS,
    SAMPLES,
    Histogram,
    Imported,
    ModelCard,
    Parity,
    Preparation,
    StretchPreparation,
    tensors,
)
from contract.store import Store
from contract.version import Version

COLOURS = ("red", "green", "blue")
SMALL = StretchPreparation(size=(32, 32))


def publish_classifier(
    store: Store,
    version: Version,
    *,
    labels: tuple[str, ...] = COLOURS,
    preparation: Preparation = SMALL,
    colour: bool = True,
    samples: bool = False,
    inputs: dict[str, Histogram] | None = None,
    change: Callable[[Path], object] = lambda _: None,
) -> int:
    """Publish such a model with what is left of the card of `version`; returns its number.

    `change` is called with the folder of the draft.
    """
    shape = (*preparation.size, 3) if colour else preparation.size
    weights = _weights(len(shape), len(labels))
    pixels = np.random.default_rng(0).integers(0, 256, (4, *shape)).astype(np.uint8)
    means = pixels.mean((1, 2), np.float32).reshape(4, -1)
    with store.draft() as draft:
        onnx.save(_graph(shape, weights), draft / ONNX)
        np.savez_compressed(draft / GOLDEN, pixels=pixels, logits=means @ weights)
        if samples:
            _write_samples(draft)
        change(draft)
        input_, outputs = tensors(len(labels), shape)
        parity = Parity(
            accuracy=None, different_answers=0, largest_difference=0.0, mean_difference=0.0,
            seconds_1=0.001, seconds_64=0.01,
        )  # fmt: skip
        unknown: dict[str, object] = {
            "schema_version": 5, "run": None, "data_set": None, "evaluation": None,
            "acceptance": None, "recipe": {}, "left_out": {},
        }  # fmt: skip
        known = {
            "name": store.folder.name, "labels": labels, "input": input_, "outputs": outputs,
            "preparation": preparation, "imported": _imported(), "parity": {ONNX: parity},
            "inputs": inputs,
        }  # fmt: skip
        card = ModelCard.model_validate(dict(version.card) | unknown | known)
        return store.publish(draft, card).number


def publish_and_activate(models: Path, version: Version, name: str, **options: object) -> Store:
    """A store of that name whose current version is such a model."""
    store = Store(models, name)
    number = publish_classifier(store, version, **options)  # type: ignore[arg-type]
    store.activate(number)
    return store


def _weights(dimensions: int, labels: int) -> NDArray[np.float32]:
    """(c, labels): of three labels each likes one colour; more are drawn."""
    channels = 3 if dimensions == 3 else 1
    if (channels, labels) == (3, 3):
        return np.eye(3, dtype=np.float32) / np.float32(8)
    drawn = np.random.default_rng(1).normal(0, 0.02, (channels, labels))
    return drawn.astype(np.float32)


def _graph(shape: tuple[int, ...], weights: NDArray[np.float32]) -> onnx.ModelProto:
    rows = ["n", weights.shape[1]]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "sides"], ["means"], keepdims=0),
        helper.make_node("Reshape", ["means", "channels"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {
        "sides": np.array([1, 2]), "channels": np.array([-1, weights.shape[0]]), "weights": weights,
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *shape])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, rows)
            for name in ("logits", "probabilities")
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _write_samples(draft: Path) -> None:
    """A sheet of two columns: red, green, blue and black images of 32x24, their first row white."""
    sheet = np.zeros((64, 48, 3), np.uint8)
    sheet[:32, :24, 0] = sheet[:32, 24:, 1] = sheet[32:, :24, 2] = sheet[::32] = 255
    Image.fromarray(sheet).save(draft / SAMPLES)
    facts = {"height": 32, "width": 24, "channels": 3, "columns": 2, "labels": [*COLOURS]}
    (draft / SAMPLE_LABELS).write_text(json.dumps(facts))


def _imported() -> Imported:
    return Imported(
        file="classifier.onnx", sha256="0" * 64, format="onnx", proven=("it answers",), unknown=()
    )
