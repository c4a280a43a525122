"""Responses of the Open Inference Protocol: each output in JSON, or as bytes behind the JSON.

    predictions --outputs of the request--> {"model_name": ..., "outputs": [...]}, then the bytes

The outputs logits and probabilities are (n, labels) FP32. With the classification extension an
output is (n, k) BYTES: the k best classes of each image in place of a row of numbers.

    (n, labels) float32 --> n * k texts "value:index:label", the best of each image first

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
"""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from contract.card import LOGITS, PROBABILITIES
from service.api.predictions import BatchPredictions, largest
from service.api.v2.requests import InferRequest, Output
from service.tensors import Rows

# The outputs of a request that names none.
ALL = [Output(name="logits"), Output(name="probabilities")]
# The content depends on what the client accepts, whether it accepted anything or not.
JSON = b"content-type: application/json\r\nvary: accept-encoding\r\n"
BYTES = b"content-type: application/octet-stream\r\nvary: accept-encoding\r\n"


def written(request: InferRequest, batch: BatchPredictions, mine: slice) -> tuple[bytes, bytes]:
    """Header lines and body of the answer: of those batch, the caller's own."""
    tensors = {LOGITS: batch.logits[mine], PROBABILITIES: batch.probabilities[mine]}
    labels = batch.model.card.labels
    described, blobs = [], []
    for output in request.outputs or ALL:
        binary = output.parameters.binary_data
        if binary is None:
            binary = request.parameters.binary_data_output
        entry, tensor = _entry(output, tensors[output.name], labels)
        if binary:
            blob = in_bytes(tensor) if isinstance(tensor, list) else _little_endian(tensor)
            blobs.append(blob)
            entry["parameters"] = {"binary_data_size": len(blob)}
        else:
            entry["data"] = tensor
        described.append(entry)
    named = batch.model.named
    document = {"model_name": named["name"], "model_version": named["version"]}
    if request.id is not None:
        document["id"] = request.id
    header = orjson.dumps({**document, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not blobs:
        return JSON, header
    lines = b"%binference-header-content-length: %d\r\n" % (BYTES, len(header))
    return lines, b"".join([header, *blobs])


def _entry(
    output: Output, tensor: Rows, labels: tuple[str, ...]
) -> tuple[dict[str, Any], NDArray[np.float32] | list[str]]:
    """How an output is described, and what it holds, flat."""
    classes = output.parameters.classification
    if classes is None:
        entry = {"name": output.name, "datatype": "FP32", "shape": tensor.shape}
        return entry, tensor.ravel()
    classes = min(classes, len(labels))
    entry = {"name": output.name, "datatype": "BYTES", "shape": (len(tensor), classes)}
    return entry, best(tensor, classes, labels)


def _little_endian(tensor: NDArray[np.float32]) -> bytes:
    return tensor.astype("<f4", copy=False).tobytes()


def best(rows: Rows, classes: int, labels: tuple[str, ...]) -> list[str]:
    """The texts of all images, one after the other. Of equal values the lower index is first."""
    indexes = largest(rows, classes)
    values = np.take_along_axis(rows, indexes, 1).ravel()
    # Written by orjson: the shortest text of a float32, where Python's str is of its float64.
    texts = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode().split(",")
    return [
        f"{text}:{index}:{labels[index]}"
        for text, index in zip(texts, indexes.ravel().tolist(), strict=True)
    ]


def in_bytes(texts: list[str]) -> bytes:
    """A BYTES tensor: each text in UTF-8 behind its length, 4 bytes, little-endian."""
    parts = []
    for text in texts:
        content = text.encode()
        parts += [len(content).to_bytes(4, "little"), content]
    return b"".join(parts)
