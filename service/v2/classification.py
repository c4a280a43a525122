"""The classification extension: the k best classes of a picture in place of a row of numbers.

    (n, labels) float32 --> n * k texts "value:index:label", the best of each picture first

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
"""

import numpy as np
import orjson

from service.tensors import Rows


def best(rows: Rows, classes: int, labels: tuple[str, ...]) -> list[str]:
    """The texts of all pictures, one after the other. Of equal values the lower index is first."""
    rows = np.ascontiguousarray(rows)
    order = np.argsort(-rows, axis=1, kind="stable")[:, :classes].tolist()
    # Written by orjson: the shortest text of a float32, where Python's str is of its float64.
    texts = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].decode().split("],[")
    return [
        f"{values[index]}:{index}:{labels[index]}"
        for values, indices in zip((text.split(",") for text in texts), order, strict=True)
        for index in indices
    ]


def in_bytes(texts: list[str]) -> bytes:
    """A BYTES tensor: each text in UTF-8 behind its length, 4 bytes, little-endian."""
    parts = []
    for text in texts:
        content = text.encode()
        parts += [len(content).to_bytes(4, "little"), content]
    return b"".join(parts)
