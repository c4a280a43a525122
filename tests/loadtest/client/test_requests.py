"""Requests have the exact bytes of HTTP and the Open Inference Protocol."""

import json

import numpy as np

from loadtest.client.requests import predict_request, tensor


def test_an_image_is_the_body_of_a_post() -> None:
    head, body = predict_request(b"\x89PNG").split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/predict HTTP/1.1"
    assert {"Content-Type: image/png", "Content-Length: 4"} <= set(lines)
    assert body == b"\x89PNG"


def test_a_batch_is_a_json_header_followed_by_its_pixels() -> None:
    pixels = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    head, _, body = tensor("digits", pixels).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines[1:])
    length = int(headers["Inference-Header-Content-Length"])
    reported = json.loads(body[:length])
    assert lines[0] == "POST /v2/models/digits/infer HTTP/1.1"
    assert int(headers["Content-Length"]) == len(body)
    assert reported["inputs"] == [
        {
            "name": "pixels",
            "datatype": "UINT8",
            "shape": [2, 28, 28],
            "parameters": {"binary_data_size": 2 * 28 * 28},
        }
    ]
    assert reported["parameters"] == {"binary_data_output": True}
    assert body[length:] == pixels.tobytes()
