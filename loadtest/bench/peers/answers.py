"""PNGs -> JSON, any number of them at once, for each of the frameworks.

The same calls as the service's: OpenCV, ONNX Runtime on one thread, orjson. An image that is not
28x28 is prepared by the service's own function.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray

from preprocessing.decoder import decode
from preprocessing.digits.normalize import normalize_digit

SHAPE = 28, 28  # of the network's input
MOST = 2**24  # pixels of an image
Pixels = NDArray[np.uint8]
Row = NDArray[np.float32]  # (labels,)


class Answers:
    def __init__(self, folder: Path | None = None) -> None:
        """Of the model version in `folder`, which is $VERSION_FOLDER unless given."""
        folder = folder or Path(os.environ["VERSION_FOLDER"])
        cv2.setNumThreads(1)
        self._network = network_of(folder / "model.onnx")
        self._labels: list[str] = json.loads((folder / "card.json").read_text())["labels"]

    def rows(self, pngs: list[bytes]) -> list[Row]:
        """Probabilities."""
        return list(self._network(np.stack([_pixels(png) for png in pngs]))[1])

    def json(self, row: Row) -> bytes:
        digit = int(row.argmax())
        prediction = {
            "digit": digit,
            "label": self._labels[digit],
            "confidence": row[digit],
            "probabilities": row,
        }
        return orjson.dumps({"predictions": [prediction]}, option=orjson.OPT_SERIALIZE_NUMPY)


def _pixels(png: bytes) -> Any:
    """(28, 28) uint8"""
    raster: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if raster.shape == SHAPE:
        return raster
    return normalize_digit(decode(bytes(png), max_pixels=MOST))  # mosec has a bytearray


def network_of(graph: Path) -> Callable[[Pixels], Any]:
    """pixels (n, 28, 28) -> logits, probabilities (n, labels), on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(["logits", "probabilities"], {"pixels": pixels})
