"""The store of a run, the images that its clients send, and the answers of each version to them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contract.card import FP16, INT8, LOGITS, ONNX
from contract.store import Store
from tests.fixtures import MODELS, Judged
from tests.support.versions import publish
from tools.swap import FIRST, expected_of, versions_of

LOOPS, GREEDY = 4, 5
TURNS = 10**12  # iterations of a loop that does not end in time
GREED = 20_000  # rows and columns of a float32 matrix: 1.6 GB
COUNT = 24  # number of images


@dataclass(frozen=True)
class Sample:
    """Images with different answers for each version and for each image."""

    pixels: NDArray[np.uint8]  # (n, 28, 28)
    pngs: list[bytes]
    expected: dict[str, NDArray[np.float32]]  # version -> probabilities (n, 10)

    @classmethod
    def of(cls, store: Store) -> Self:
        pixels = Judged.load().pixels
        expected = expected_of(store, pixels)
        apart = np.min(
            [np.abs(expected[a] - expected[b]).max(1) for a, b in combinations(expected, 2)], axis=0
        )
        chosen = np.argsort(-apart)[:COUNT]
        pngs = [cv2.imencode(".png", picture)[1].tobytes() for picture in pixels[chosen]]
        return cls(pixels[chosen], pngs, {name: rows[chosen] for name, rows in expected.items()})

    def off(self, version: str, pictures: list[int], given: object) -> float:
        """The largest difference between the given probabilities and those of the version."""
        probabilities = np.asarray(given, np.float32)
        wanted = self.expected[version][pictures]
        if probabilities.shape != wanted.shape:
            return float("inf")
        return float(np.abs(probabilities - wanted).max())


def make_store(folder: Path) -> Store:
    """Three versions that serve, the last of which is current, a looping and a greedy one."""
    version = Store(MODELS, "digits").open()
    store = versions_of(version, folder)
    assert publish(store, version, _adding(_loop)) == LOOPS
    assert publish(store, version, _adding(_matrix)) == GREEDY
    assert str(store.current()) == FIRST
    return store


def _adding(costly: Callable[[onnx.GraphProto], list[onnx.NodeProto]]) -> Callable[[Path], object]:
    """For `publish`: adds "zero", which is expensive to compute, to the logits."""

    def change(draft: Path) -> None:
        model = onnx.load(draft / ONNX)
        graph = model.graph
        (last,) = (node for node in graph.node if LOGITS in node.output)
        place = list(graph.node).index(last) + 1  # nodes are in topological order
        last.output[:] = ["cheap"]
        addition = helper.make_node("Add", ["cheap", "zero"], [LOGITS])
        for node in (addition, *reversed(costly(graph))):
            graph.node.insert(place, node)
        onnx.save(model, draft / ONNX)
        for other in (FP16, INT8):
            (draft / other).unlink(missing_ok=True)

    return change


def _loop(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """An ONNX Loop with more iterations than any timeout allows."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes"]),
            helper.make_node("Mul", ["carried", "carried"], ["carries"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carries", TensorProto.FLOAT, []),
        ],
    )
    graph.initializer.append(helper.make_tensor("turns", TensorProto.INT64, [], [TURNS]))
    graph.initializer.append(helper.make_tensor("begin", TensorProto.BOOL, [], [True]))
    graph.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]))
    return [helper.make_node("Loop", ["turns", "begin", "nothing"], ["zero"], body=body)]


def _matrix(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """A matrix of zeros and its largest element.

    It depends on the image: a constant would be computed once, when the graph is loaded.
    """
    graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [2], [GREED, GREED]))
    graph.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]))
    return [
        helper.make_node("ReduceMax", ["cheap"], ["best"], keepdims=0),
        helper.make_node("Mul", ["best", "nothing"], ["none"]),
        helper.make_node("Expand", ["none", "shape"], ["matrix"]),
        helper.make_node("ReduceMax", ["matrix"], ["zero"], keepdims=0),
    ]
