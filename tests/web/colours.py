"""Versions of a model that names the colour of an image: photos in, any number of labels out.

pixels (n, h, w, 3) --mean--> (n, 3) --nearest of the colours--> logits (n, labels)
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.card import (
    GOLDEN,
    INPUT,
    LOGITS,
    MISTAKE_FACTS,
    MISTAKES,
    ONNX,
    PROBABILITIES,
    SAMPLE_LABELS,
    SAMPLES,
    SCHEMA,
    Imported,
    ModelCard,
    Parity,
    Preparation,
    tensors,
)
from contract.store import Store

Colour = tuple[int, int, int]
Images = NDArray[np.uint8]  # (n, h, w, 3)

OPSET = 18
COLUMNS = 10  # images in a row of a sheet
NOISE = 40  # levels, up and down, that an image differs from its colour
SHARPNESS = 1e-3  # of the softmax, for squared distances of levels


def publish_colours(
    store: Store, colours: Mapping[str, Colour], preparation: Preparation, *, samples: bool = True
) -> int:
    """Publish an imported model of these labels and colours; the number of its version.

    With `samples`, it has a sheet of test images, and another whose labels are wrong on purpose.
    """
    shape = (*preparation.size, 3)
    labels, levels = tuple(colours), np.array([*colours.values()])
    images = noisy(levels[np.arange(20) % len(labels)], shape)
    with store.draft() as draft:
        onnx.save(_graph(levels, shape), draft / ONNX)
        session = onnxruntime.InferenceSession(draft / ONNX)
        (logits,) = session.run([LOGITS], {INPUT: images})
        np.savez_compressed(draft / GOLDEN, pixels=images, logits=logits)
        if samples:
            answers = [labels[at] for at in np.argmax(logits, 1)]
            _write_sheet(draft / SAMPLES, draft / SAMPLE_LABELS, images, labels=answers)
            wrong = {"labels": [labels[-1]] * 2, "answers": answers[:2], "confidences": [0.9, 0.8]}
            _write_sheet(draft / MISTAKES, draft / MISTAKE_FACTS, images[:2], **wrong)
        return store.publish(draft, _card(store.folder.name, labels, preparation)).number


def noisy(colours: NDArray[np.integer[Any]], shape: tuple[int, ...]) -> Images:
    """An image of each colour (n, 3)."""
    noise = np.random.default_rng(0).integers(-NOISE, NOISE, (len(colours), *shape))
    return np.asarray(np.clip(colours[:, None, None] + noise, 0, 255), np.uint8)


def _graph(levels: NDArray[np.integer[Any]], shape: tuple[int, ...]) -> onnx.ModelProto:
    """Logits fall with the squared distance to the colour, without what all have in common."""
    weights = (2 * SHARPNESS * levels.T).astype(np.float32)  # (3, labels)
    bias = (-SHARPNESS * (levels**2).sum(1)).astype(np.float32)  # (labels,)
    constants = {"weights": weights, "bias": bias, "sides": np.array([1, 2])}
    nodes = [
        helper.make_node("Cast", [INPUT], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "sides"], ["means"], keepdims=0),
        helper.make_node("Gemm", ["means", "weights", "bias"], [LOGITS]),
        helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=1),
    ]
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", *shape])
    rows = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", len(levels)])
        for name in (LOGITS, PROBABILITIES)
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "colours", [pixels], rows, initializers)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _card(name: str, labels: tuple[str, ...], preparation: Preparation) -> ModelCard:
    pixels, outputs = tensors(len(labels), (*preparation.size, 3))
    proof = Parity(
        accuracy=None,
        different_answers=0,
        largest_difference=0,
        mean_difference=0,
        seconds_1=1e-4,
        seconds_64=1e-3,
    )
    return ModelCard(
        schema_version=SCHEMA,
        name=name,
        created=datetime.now(UTC),
        labels=labels,
        input=pixels,
        outputs=outputs,
        preparation=preparation,
        network="colours",
        parameters=4 * len(labels),
        run=None,
        imported=Imported(
            file="colours.onnx",
            sha256="0" * 64,
            format="onnx",
            proven=("Answers as the original on 20 images.",),
            unknown=("The data that it was trained on.",),
        ),
        recipe={},
        data_set=None,
        temperature=1,
        evaluation=None,
        acceptance=None,
        opset=OPSET,
        parity={ONNX: proof},
        left_out={},
        measured_on="a test",
        git_commit=None,
        libraries={},
        files={},
    )


def _write_sheet(path: Path, facts: Path, images: Images, **of_each: list[Any]) -> None:
    height, width = images.shape[1:3]
    rows = -(-len(images) // COLUMNS)
    cells = np.zeros((rows * COLUMNS, *images.shape[1:]), np.uint8)
    cells[: len(images)] = images
    sheet = cells.reshape(rows, COLUMNS, height, width, 3).swapaxes(1, 2)  # rows, h, columns, w, 3
    Image.fromarray(sheet.reshape(rows * height, COLUMNS * width, 3)).save(path)
    layout = {"height": height, "width": width, "channels": 3, "columns": COLUMNS}
    facts.write_text(json.dumps(layout | of_each) + "\n")
