"""Wraps a foreign ONNX graph with layers, so that it has the input and outputs of every version.

    pixels (n, h, w[, 3]) uint8 -> layout -> float -> (/ 255 - mean) / std -> the graph
    the graph -> logits (n, classes) -> softmax -> probabilities (n, classes)
              -> probabilities       -> log     -> logits, whose softmax they are

A graph for a fixed number of images is changed to take any number, as far as the number is only in
the shapes of its reshapes. What it cannot do is found by the proof.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, compose, helper, numpy_helper

from contract import card
from export.original import ClassOutput, ImageInput, Layout, Numbers, Original, as_input
from export.runners import Pixels

INNER = "model/"  # prefix of all names of the foreign graph
IR_VERSION = 8  # at least: older graphs list their weights among their inputs
SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of 0 has the logarithm of this one


@dataclass(frozen=True)
class Scaling:
    """From pixels 0..255 to the numbers of the input: (pixel / divisor - mean) / std.

    The graph does these steps as training does, and not fewer that differ in rounding only: a deep
    network turns that into 1e-4 of a logit.
    """

    divisor: float = 255.0
    mean: tuple[float, ...] = (0.0,)  # one for all channels, or one each
    std: tuple[float, ...] = (1.0,)

    def __call__(self, pixels: Pixels, image_input: ImageInput) -> Numbers:
        """The numbers for pixels (n, h, w[, 3]), without rounding to the input's type in between.

        An input of bytes takes the pixels as they are.
        """
        numbers = as_input(pixels, image_input.layout)
        dtype = helper.tensor_dtype_to_np_dtype(image_input.dtype)
        if dtype == np.uint8:
            return np.ascontiguousarray(numbers)
        mean, std = (along_channels(each, image_input.layout) for each in (self.mean, self.std))
        scaled = (numbers.astype(np.float32) / np.float32(self.divisor) - mean) / std
        return np.ascontiguousarray(scaled.astype(dtype))


def along_channels(values: tuple[float, ...], layout: Layout) -> NDArray[np.float32]:
    """Numbers for each channel, in a shape that fits that layout."""
    array = np.array(values, np.float32)
    return array.reshape(-1, 1, 1) if layout == "NCHW" else array


def wrap(
    original: Original, output: ClassOutput, scaling: Scaling, *, are_probabilities: bool
) -> ModelProto:
    """The graph with the tensors of `contract.card`; `are_probabilities` is what it returns."""
    model = ModelProto()
    model.CopyFrom(original.model)
    if original.input.batch is not None:
        _free_batch(model, original.input.batch)
    _strip(model)
    model = compose.add_prefix(model, INNER)
    model.ir_version = max(model.ir_version, IR_VERSION)
    constants: list[TensorProto] = []
    before = [*_before(original.input, scaling, constants)]
    before[-1].output[0] = INNER + original.input.name
    after = [*_after(original, output, constants, are_probabilities=are_probabilities)]
    nodes = [*before, *model.graph.node, *after]
    tensors, outputs = card.tensors(output.classes, original.input.shape)
    for field in (model.graph.node, model.graph.input, model.graph.output, model.graph.value_info):
        del field[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    model.graph.input.append(_value(tensors, TensorProto.UINT8))
    model.graph.output.extend(_value(each, TensorProto.FLOAT) for each in outputs)
    return model


def _before(
    image_input: ImageInput, scaling: Scaling, constants: list[TensorProto]
) -> Iterator[NodeProto]:
    """Layers from the pixels to the graph's input; the last one's output is renamed."""
    last = card.INPUT
    layout, (height, width, *colours) = image_input.layout, image_input.shape
    if colours and layout == "NCHW":
        yield helper.make_node("Transpose", [last], ["planes"], "planes", perm=[0, 3, 1, 2])
    elif not colours and layout != "NHW":
        sides = [0, 1, height, width] if layout == "NCHW" else [0, height, width, 1]  # 0: n stays
        constants.append(numpy_helper.from_array(np.array(sides, np.int64), "planes_shape"))
        yield helper.make_node("Reshape", [last, "planes_shape"], ["planes"], "planes")
    else:
        yield helper.make_node("Identity", [last], ["planes"], "planes")
    if image_input.dtype == TensorProto.UINT8:
        return
    yield helper.make_node("Cast", ["planes"], ["floats"], "floats", to=TensorProto.FLOAT)
    last = "floats"
    steps = (("Div", (scaling.divisor,), 1), ("Sub", scaling.mean, 0), ("Div", scaling.std, 1))
    for operator, values, neutral in steps:
        if set(values) == {neutral}:
            continue
        step = f"scaling_{len(constants)}"
        constants.append(numpy_helper.from_array(along_channels(values, layout), f"{step}_by"))
        yield helper.make_node(operator, [last, f"{step}_by"], [step], step)
        last = step
    if image_input.dtype != TensorProto.FLOAT:
        yield helper.make_node("Cast", [last], ["typed"], "typed", to=image_input.dtype)


def _after(
    original: Original,
    output: ClassOutput,
    constants: list[TensorProto],
    *,
    are_probabilities: bool,
) -> Iterator[NodeProto]:
    """Layers from the graph's output to logits and probabilities."""
    rows = "rows" if output.rank > 2 else INNER + output.name
    if output.rank > 2:
        yield helper.make_node("Flatten", [INNER + output.name], [rows], "rows", axis=1)
    yield helper.make_node("Cast", [rows], ["answers"], "answers", to=TensorProto.FLOAT)
    if are_probabilities:
        constants.append(numpy_helper.from_array(np.array(SMALLEST, np.float32), "smallest"))
        yield helper.make_node("Add", ["answers", "smallest"], ["positive"], "positive")
        yield helper.make_node("Log", ["positive"], [card.LOGITS], card.LOGITS)
    else:
        yield helper.make_node("Identity", ["answers"], [card.LOGITS], card.LOGITS)
    yield helper.make_node(
        "Softmax", [card.LOGITS], [card.PROBABILITIES], card.PROBABILITIES, axis=1
    )


def _value(facts: card.TensorFacts, dtype: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(facts.name, dtype, facts.shape)


def _free_batch(model: ModelProto, batch: int) -> None:
    """Replace the batch size in the constant shapes of reshapes."""
    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    replaced = set()
    for index, node in enumerate(model.graph.node):
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = numpy_helper.to_array(constants[node.input[1]]).copy()
        zero_is_a_length = any(each.name == "allowzero" and each.i for each in node.attribute)
        if zero_is_a_length and 0 in shape:
            continue
        if len(shape) and shape[0] == batch:
            del node.attribute[:]  # allowzero
            shape[0] = 0 if -1 in shape else -1  # 0: that of the tensor, -1: what remains
            name = f"free_batch_{index}"
            model.graph.initializer.append(numpy_helper.from_array(shape, name))
            replaced.add(node.input[1])
            node.input[1] = name
    unused = replaced - {name for node in model.graph.node for name in node.input}
    kept = [each for each in model.graph.initializer if each.name not in unused]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _strip(model: ModelProto) -> None:
    """Remove what exporters note for debugging, such as paths of their machine."""
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
