"""Requests of the Open Inference Protocol, with Triton's client and by hand."""

import json
from typing import Any

import httpx2
import tritonclient.http as triton
from tritonclient.utils import np_to_triton_dtype

from service.tensors import Pixels
from tests.support import fetch
from tests.support.running import Service

HEADER = "Inference-Header-Content-Length"
BLOB = bytes(784)


def client_of(
    service: Service, concurrency: int = 1, network_timeout: float = 60
) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(
        service.url.removeprefix("http://"),
        concurrency=concurrency,
        network_timeout=network_timeout,
    )


def inputs_of(pixels: Pixels, *, binary: bool = True) -> list[triton.InferInput]:
    tensor = triton.InferInput("pixels", list(pixels.shape), np_to_triton_dtype(pixels.dtype))
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    return [tensor]


def document(**changes: Any) -> bytes:
    """A request for one image whose pixels follow as binary data, with some fields changed."""
    tensor = {
        "name": "pixels",
        "shape": [1, 28, 28],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": changes.pop("binary_data_size", 784)},
    }
    whole = {key: changes.pop(key) for key in ("outputs", "parameters", "id") if key in changes}
    return json.dumps({"inputs": [tensor | changes], **whole}).encode()


def post(service: Service, body: bytes, path: str = "", /, **headers: object) -> httpx2.Response:
    """`path` follows that of the model."""
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return fetch.post(f"{service.url}/v2/models/digits{path}/infer", content=body, headers=named)
