"""Image files -> JSON, any number of them at once, for each of the frameworks.

The same calls as the service's: OpenCV, ONNX Runtime on one thread, orjson. What is not a PNG of a
digit in 28x28 is decoded and prepared by the service's own function.
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

from preprocessing.preparation import preparer_for

MOST = 2**24  # pixels of an image
Pixels = NDArray[np.uint8]
Row = NDArray[np.float32]  # (labels,)


class Answers:
    def __init__(self, folder: Path | None = None) -> None:
        """Of the model version in `folder`, which is $VERSION_FOLDER unless given."""
        folder = folder or Path(os.environ["VERSION_FOLDER"])
        cv2.setNumThreads(1)
        self._network = network_of(folder / "model.onnx")
        card = (folder / "card.json").read_bytes()
        self._labels: list[str] = json.loads(card)["labels"]
        self._prepare = preparer_for(card)
        self._are_digits = self._prepare.preparation.kind == "digit"

    def rows(self, files: list[bytes]) -> list[Row]:
        """Probabilities."""
        return list(self._network(np.stack([self._pixels(file) for file in files]))[1])

    def json(self, row: Row) -> bytes:
        index = int(row.argmax())
        prediction = {
            "label": self._labels[index],
            "index": index,
            "confidence": row[index],
            "probabilities": row,
        }
        return orjson.dumps({"predictions": [prediction]}, option=orjson.OPT_SERIALIZE_NUMPY)

    def _pixels(self, file: bytes) -> Any:
        if self._are_digits:
            raster: Any = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
            if raster.shape == self._prepare.shape:
                return raster
        return self._prepare.file(bytes(file), max_pixels=MOST)  # mosec has a bytearray


def network_of(graph: Path) -> Callable[[Pixels], Any]:
    """pixels (n, h, w[, 3]) -> logits, probabilities (n, labels), on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(["logits", "probabilities"], {"pixels": pixels})
