"""Tables of invalid prediction requests: each gets the right 4xx quickly, in the format of its
route, leaks no memory, and never causes an internal error.
"""

import gzip
import json
import re
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pytest

from tests.support.connection import connected, request
from tests.support.forms import part
from tests.support.memory import resident
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.running import Service

SOON = 0.5  # seconds, for the fastest of TRIES: the machine may be busy
TRIES = 5
SHEET = seven(side=28).tobytes()
INFER = "/v2/models/digits/infer"
FORMATS = ["PNG", "JPEG", "WebP", "BMP", "GIF", "TIFF"]


class Bad(NamedTuple):
    status: int
    body: bytes
    kind: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 (never modified)


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png(width: int, height: int, content: bytes = b"") -> bytes:
    """A gray PNG that declares this size and has `content` instead of its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(content))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def tensor(**changes: Any) -> bytes:
    """An infer request in JSON, with changes to its input."""
    sound = {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "data": [*SHEET]}
    return json.dumps({"inputs": [sound | changes]}).encode()


def binary(size: int, **changes: Any) -> bytes:
    """An infer request that declares `size` bytes of binary data."""
    return tensor(data=None, parameters={"binary_data_size": size}, **changes)


def blob(document: bytes, content: bytes = SHEET, length: str = "") -> Bad:
    return Bad(
        400,
        document + content,
        headers={"Inference-Header-Content-Length": length or str(len(document))},
    )


BLANK = encoded(np.full((50, 50), 255, np.uint8))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"/>'
HALVES = {kind: encoded(seven(), kind)[: len(encoded(seven(), kind)) // 2] for kind in FORMATS}
BASE64 = b64encode(SEVEN).decode()
JSON, FORM = "application/json", "multipart/form-data; boundary=x"
URLENCODED = "application/x-www-form-urlencoded"

PREDICT = {
    "nothing": Bad(400, b""),
    "text": Bad(422, b"this is text"),
    "text as PNG": Bad(422, b"this is text", "image/png"),
    "text that says what it is": Bad(415, b"seven", "text/plain"),
    "SVG": Bad(422, SVG),
    "SVG that says what it is": Bad(422, SVG, "image/svg+xml"),
    "HTML": Bad(415, b"<img>", "text/html"),
    **{f"half a {kind}": Bad(422, half) for kind, half in HALVES.items()},
    **{f"the start of a {kind}": Bad(422, half[:12]) for kind, half in HALVES.items()},
    "a PNG of 30,000 x 30,000": Bad(413, png(30_000, 30_000)),
    "a PNG of 2^31 x 2^31": Bad(413, png(2**31 - 1, 2**31 - 1)),
    "a PNG of 0 x 0": Bad(422, png(0, 0)),
    "a PNG of too few pixels": Bad(422, png(28, 28, b"\0" * 29)),
    "a blank picture": Bad(422, BLANK),
    "compressed": Bad(415, gzip.compress(SEVEN), "image/png", {"Content-Encoding": "gzip"}),
    "too large": Bad(413, bytes(10 * 2**20 + 1), "image/png"),
    "no JSON": Bad(400, b"{", JSON),
    "JSON in no UTF-8": Bad(400, b'{"image": "\xff"}', JSON),
    "JSON that is no object": Bad(400, b"[1]", JSON),
    "JSON without a picture": Bad(400, b"{}", JSON),
    "JSON with a number": Bad(400, b'{"image": 7}', JSON),
    "JSON with NaN": Bad(400, b'{"image": NaN}', JSON),
    "JSON with no base64": Bad(400, b'{"image": "%"}', JSON),
    "JSON with text": Bad(422, json.dumps({"image": "AAAA"}).encode(), JSON),
    "JSON with an unknown field": Bad(400, json.dumps({"image": BASE64, "k": 3}).encode(), JSON),
    "JSON with too many pictures": Bad(413, json.dumps({"images": ["AA=="] * 300}).encode(), JSON),
    "deep JSON": Bad(400, b'{"image":' + b"[" * 10_000, JSON),
    "deep JSON that ends": Bad(400, b'{"image":' + b"[" * 100 + b"]" * 100 + b"}", JSON),
    "a million lists": Bad(413, b'{"images":[' + b"[]," * 10**6 + b"[]]}", JSON),
    "no form": Bad(400, b"nonsense", FORM),
    "a form without boundary": Bad(400, part(SEVEN), "multipart/form-data"),
    "a form without end": Bad(400, part(SEVEN), FORM),
    "a form without files": Bad(400, b"--x--\r\n", FORM),
    "a form with a field": Bad(400, part(b"3", 'form-data; name="k"') + b"--x--\r\n", FORM),
    "a form with a path": Bad(
        400, part(SEVEN, 'form-data; name="i"; filename="../../7.png"') + b"--x--\r\n", FORM
    ),
    "a form with an empty file": Bad(422, part(b"") + b"--x--\r\n", FORM),
    "a form with too many files": Bad(413, part(SEVEN) * 300 + b"--x--\r\n", FORM),
    "a form of a million escapes": Bad(400, b"image=" + b"%41" * 10**6, URLENCODED),
    "a form of a million percent signs": Bad(400, b"image=" + b"%" * 10**6, URLENCODED),
    "a form of a million fields": Bad(413, b"a=&" * 10**6, URLENCODED),
    "a form of a million blanks": Bad(400, b"image=" + b"%20" * 10**6, URLENCODED),
    "JSON with a million blanks": Bad(400, b'{"image": "' + b" A" * 10**6 + b'"}', JSON),
    "JSON with a million dashes": Bad(400, b'{"image": "' + b"-+" * 10**6 + b'"}', JSON),
    "a million beginnings of SVG": Bad(422, b"<!--" * 10**6),
    "a timeout that is no number": Bad(400, SEVEN, headers={"X-Request-Timeout": "soon"}),
    "a timeout of nothing": Bad(400, SEVEN, headers={"X-Request-Timeout": "5e-324"}),
    "a negative timeout": Bad(400, SEVEN, headers={"X-Request-Timeout": "-1"}),
    "a timeout that is not a number": Bad(400, SEVEN, headers={"X-Request-Timeout": "nan"}),
}

INFERENCES = {
    "nothing": Bad(400, b""),
    "no JSON": Bad(400, b"\x00\x01"),
    "no UTF-8": Bad(400, b'{"inputs": "\xff"}'),
    "a list": Bad(400, b"[]"),
    "no inputs": Bad(400, b"{}"),
    "empty inputs": Bad(400, b'{"inputs": []}'),
    "two inputs": Bad(400, json.dumps({"inputs": json.loads(tensor())["inputs"] * 2}).encode()),
    "an unknown input": Bad(400, tensor(name="image")),
    "another type": Bad(400, tensor(datatype="FP32")),
    "an unknown type": Bad(400, tensor(datatype="COMPLEX")),
    "NaN": Bad(400, tensor().replace(b"[0,", b"[NaN,", 1).replace(b"255", b"NaN", 1)),
    "infinity": Bad(400, tensor(data=[float("inf")] * 784)),
    "text among numbers": Bad(400, tensor(data=["0"] * 784)),
    "true among numbers": Bad(400, tensor(data=[True] * 784)),
    "halves": Bad(400, tensor(data=[0.5] * 784)),
    "256": Bad(400, tensor(data=[256] * 784)),
    "-1": Bad(400, tensor(data=[-1] * 784)),
    "2^70": Bad(400, tensor(data=[2**70] * 784)),
    "too few numbers": Bad(400, tensor(data=[0] * 783)),
    "ragged lists": Bad(400, tensor(data=[[0] * 28] * 27 + [[0] * 27])),
    "a shape that overflows": Bad(400, tensor(shape=[2**63, 28, 28])),
    "a shape far beyond": Bad(400, tensor(shape=[2**70, 28, 28])),
    "a shape whose product is small again": Bad(400, tensor(shape=[2**32, 2**32, 784])),
    "a negative shape": Bad(400, tensor(shape=[-1, 28, 28])),
    "a shape with nothing": Bad(400, tensor(shape=[0, 28, 28], data=[])),
    "a shape of text": Bad(400, tensor(shape=["1", 28, 28])),
    "a shape of another picture": Bad(400, tensor(shape=[1, 784])),
    "a long shape": Bad(400, tensor(shape=[1] * 1000)),
    "too many pictures": Bad(400, tensor(shape=[1000, 28, 28])),
    "a negative size": blob(binary(-784)),
    "another size": blob(binary(783)),
    "a size far beyond": blob(binary(2**70)),
    "too few bytes": blob(binary(784), SHEET[:-1]),
    "too many bytes": blob(binary(784), SHEET + b"x"),
    "bytes without a header": Bad(400, binary(784) + SHEET),
    "a header beyond the body": blob(binary(784), length="100000"),
    "a negative header": blob(binary(784), length="-1"),
    "a header that is no number": blob(binary(784), length="all"),
    "a header of many digits": blob(binary(784), length="9" * 400),
    "a raw picture too short": blob(b"", SHEET[:-1], length="0"),
    "an unknown output": Bad(400, tensor()[:-1] + b', "outputs": [{"name": "digit"}]}'),
    "an output twice": Bad(
        400, tensor()[:-1] + b', "outputs": [{"name": "logits"}, {"name": "logits"}]}'
    ),
    "deep JSON": Bad(400, b'{"inputs":' + b"[" * 100 + b"]" * 100 + b"}"),
    "deep data": Bad(400, tensor(data=json.loads("[" * 100 + "]" * 100))),
    "an unknown encoding": Bad(415, b"x", headers={"Content-Encoding": "br"}),
    "a bomb": Bad(
        413, gzip.compress(bytes(2**26), 9), headers={"Content-Encoding": "gzip"}
    ),
    "half a gzip": Bad(400, gzip.compress(tensor())[:-9], headers={"Content-Encoding": "gzip"}),
    "no gzip": Bad(400, tensor(), headers={"Content-Encoding": "gzip"}),
    "no deflate": Bad(400, tensor(), headers={"Content-Encoding": "deflate"}),
}  # fmt: skip


def post(client: httpx2.Client, path: str, bad: Bad) -> httpx2.Response:
    kind = {"Content-Type": bad.kind} if bad.kind else {}
    return client.post(path, content=bad.body, headers={**kind, **bad.headers})


def seconds_of(send: Callable[[], object]) -> float:
    began = time.perf_counter()
    send()
    return time.perf_counter() - began


@pytest.mark.parametrize("bad", PREDICT.values(), ids=PREDICT)
def test_an_invalid_image_is_rejected_quickly_with_a_problem_document(
    service: Service, bad: Bad
) -> None:
    with service.client() as client:
        response = post(client, "/v1/predict", bad)
        assert (response.status_code, response.headers["Content-Type"]) == (
            bad.status,
            "application/problem+json",
        ), response.text
        assert len(response.json()["detail"]) < 500
        assert (
            min(seconds_of(lambda: post(client, "/v1/predict", bad)) for _ in range(TRIES)) < SOON
        )


@pytest.mark.parametrize("bad", INFERENCES.values(), ids=INFERENCES)
def test_an_invalid_inference_is_rejected_quickly_with_an_error(service: Service, bad: Bad) -> None:
    with service.client() as client:
        response = post(client, INFER, bad)
        assert response.status_code == bad.status, response.text
        assert [*response.json()] == ["error"]
        assert 0 < len(response.json()["error"]) < 500
        assert min(seconds_of(lambda: post(client, INFER, bad)) for _ in range(TRIES)) < SOON


HTTP = {
    "both lengths": request(SEVEN, "Transfer-Encoding: chunked"),
    "two lengths": request(SEVEN, "Content-Length: 7"),
    "a negative length": request(SEVEN).replace(b"Content-Length: ", b"Content-Length: -"),
    "a length that is no number": request(SEVEN).replace(b"Content-Length: ", b"Content-Length: x"),
    "a length of many digits": request(SEVEN).replace(
        b"Content-Length: ", b"Content-Length: " + b"9" * 40
    ),
    "two types": request(SEVEN, "Content-Type: image/jpeg"),
    "two keys": request(SEVEN, "X-API-Key: a", "X-API-Key: b"),
    "two timeouts": request(SEVEN, "X-Request-Timeout: 1", "X-Request-Timeout: 2"),
    "two hosts": request(SEVEN, "Host: y"),
    "a header with a line end": request(SEVEN, "X-Split: a\rb"),
    "a header with a zero": request(SEVEN, "X-Zero: a\0b"),
    "a chunk of no size": request(b"zz\r\n").replace(
        b"Content-Length: 4", b"Transfer-Encoding: chunked"
    ),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
    "HTTP of another time": b"POST /v1/predict HTTP/9.9\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", HTTP.values(), ids=HTTP)
def test_ambiguous_or_invalid_http_is_400(service: Service, sent: bytes) -> None:
    with connected(service) as connection:
        connection.send(sent)
        status, headers, body = connection.answer()
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["request_id"] == headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/predict", "http://x/v1/predict"])
def test_a_length_with_many_leading_zeros_is_accepted_or_400(service: Service, path: str) -> None:
    sent = request(SEVEN, path=path).replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5000)
    with connected(service) as connection:
        connection.send(sent)
        assert connection.answer()[0] in (200, 400)


def test_bytes_beyond_the_declared_length_are_not_a_second_request(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN) + b"and something more\r\n\r\n")
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert connection.closed()


def test_garbage_after_a_pipelined_request_does_not_affect_its_answer(
    service: Service,
) -> None:
    garbage = request(b"zz\r\n").replace(b"Content-Length: 4", b"Transfer-Encoding: chunked")
    with connected(service) as connection:
        connection.send(request(SEVEN) + garbage)
        assert [connection.answer()[0] for _ in range(2)] == [200, 400]
        assert connection.closed()


def test_garbage_after_a_complete_request_is_rejected(service: Service) -> None:
    """Even if that was answered before the end of its body arrived."""
    with connected(service) as connection:
        connection.send(b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
        assert connection.answer()[0] == 405
        connection.send(b"x")
        connection.send(b"no HTTP\r\n\r\n")
        assert connection.answer()[0] == 400


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/v1/predict/"])
def test_an_invalid_body_after_its_answer_only_closes_the_connection(
    service: Service, path: str
) -> None:
    """A second response would be taken for that to the next request on the connection."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connected(service) as connection:
        connection.send(head + b"1\r\nx\r\n")
        assert connection.answer()[0] in (404, 405, 308)
        connection.send(b"no chunk\r\n\r\n")
        assert connection.closed()


def test_a_chunked_body_is_bounded_while_it_is_read(service: Service) -> None:
    def pieces() -> Any:
        for _ in range(11):
            yield bytes(2**20)

    with service.client() as client:
        response = client.post("/v1/predict", content=pieces())
    assert response.status_code == 413


def test_errors_reveal_no_internals(service: Service) -> None:
    """No path, library or line of code is in any error of these tables."""
    inside = re.compile(
        r"/\w+/\w+\.py|site-packages|Traceback|cv2|numpy|onnx|pydantic|orjson", re.I
    )
    with service.client() as client:
        for path, table in (("/v1/predict", PREDICT), (INFER, INFERENCES)):
            for name, bad in table.items():
                assert not inside.search(post(client, path, bad).text), name


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read in /proc")
def test_rejected_requests_leak_no_memory(service: Service) -> None:
    def refuse_all() -> None:
        with service.client() as client:
            for path, table in (("/v1/predict", PREDICT), (INFER, INFERENCES)):
                for bad in table.values():
                    post(client, path, bad)

    refuse_all()  # caches are filled
    before = resident(service)
    for _ in range(5):
        refuse_all()
    assert resident(service) - before < 20 * 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read in /proc")
def test_a_rejected_large_image_leaks_no_memory(service: Service) -> None:
    body = b"\xff\xd8\xff" + bytes(2**20)  # a JPEG that ends in its header
    with service.client() as client:
        for _ in range(10):
            assert client.post("/v1/predict", content=body).status_code == 422
        before = resident(service)
        for _ in range(60):
            client.post("/v1/predict", content=body)
    assert resident(service) - before < 30 * 2**20
