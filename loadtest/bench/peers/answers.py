"""PNGs -> JSON, as much as a batch may hold at once, for each of the frameworks.

The same calls as the service's: OpenCV, ONNX Runtime on one thread, orjson. What the service does
beyond that, such as finding out whether a picture looks like MNIST at all, is left out: the peers
are spared it.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from loadtest.bench.limits import network_of

cv2.setNumThreads(1)


class Answers:
    def __init__(self, folder: Path) -> None:
        """Of the model version in `folder`."""
        self._network = network_of(folder / "model.onnx")
        self._labels: list[str] = json.loads((folder / "card.json").read_text())["labels"]

    def rows(self, pngs: list[bytes]) -> NDArray[np.float32]:
        """Probabilities, (n, labels)."""
        rows: NDArray[np.float32] = self._network(np.stack([_pixels(png) for png in pngs]))[1]
        return rows

    def json(self, row: NDArray[np.float32]) -> bytes:
        digit = int(row.argmax())
        prediction = {
            "digit": digit,
            "label": self._labels[digit],
            "confidence": row[digit],
            "probabilities": row,
        }
        return orjson.dumps({"predictions": [prediction]}, option=orjson.OPT_SERIALIZE_NUMPY)


def _pixels(png: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)  # (28, 28) uint8
