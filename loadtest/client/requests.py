"""HTTP requests as the bytes that go over the wire: made once, sent many times."""

import json

import numpy as np
from numpy.typing import NDArray

PREDICT = "/v1/predict"
INFER = "/v2/models/{name}/infer"
STATUS = "/v1/status"


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def picture(png: bytes) -> bytes:
    return post(PREDICT, png, {"Content-Type": "image/png"})


def tensor(name: str, pixels: NDArray[np.uint8]) -> bytes:
    """A batch of the Open Inference Protocol, (n, 28, 28) in its binary tensor extension."""
    header = {
        "inputs": [
            {
                "name": "pixels",
                "datatype": "UINT8",
                "shape": list(pixels.shape),
                "parameters": {"binary_data_size": pixels.nbytes},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return post(INFER.format(name=name), head + pixels.tobytes(), headers)
