"""POST /v1/predict over HTTP."""

import json
import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from contract.store import Store
from contract.version import Version
from tests.fixtures import Judged
from tests.support.pictures import encoded, seven
from tests.support.problems import problem
from tests.support.program import PATIENCE
from tests.support.running import Service

PNG = {"Content-Type": "image/png"}


def post(service: Service, body: bytes, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with service.client() as client:
        return client.post("/v1/predict", content=body, headers=PNG | named)


def test_a_test_digit_is_predicted_as_by_pytorch(service: Service, judged: Judged) -> None:
    expected = judged.probabilities[0]
    answer = post(service, encoded(judged.pixels[0])).json()
    assert answer["model"] == {"name": "digits", "version": "1"}
    (prediction,) = answer["predictions"]
    assert prediction["digit"] == int(expected.argmax())
    assert prediction["label"] == str(prediction["digit"])
    assert prediction["confidence"] == pytest.approx(float(expected.max()), abs=1e-4)
    assert prediction["probabilities"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_drawing_is_recognised_at_any_size_and_position(service: Service) -> None:
    drawings = [seven(), seven(side=400, at=(0.05, 0.6), size=0.3), seven(paper=0, ink=255)]
    answers = [post(service, encoded(drawing)).json() for drawing in drawings]
    assert [answer["predictions"][0]["digit"] for answer in answers] == [7, 7, 7]


def test_the_response_has_timings_batch_size_and_request_id(service: Service) -> None:
    headers = post(service, encoded(seven())).headers
    assert re.fullmatch(
        r"decode;dur=[\d.]+, queue;dur=[\d.]+, infer;dur=[\d.]+", headers["Server-Timing"]
    )
    assert headers["X-Batch-Size"] == "1"
    assert re.fullmatch(r"[0-9a-f]{20}", headers["X-Request-ID"])


def test_the_request_id_of_a_client_is_kept(service: Service) -> None:
    assert (
        post(service, encoded(seven()), X_Request_ID="order-7").headers["X-Request-ID"] == "order-7"
    )


def test_a_request_id_that_could_forge_a_log_line_is_replaced(service: Service) -> None:
    headers = post(service, encoded(seven()), X_Request_ID="a b\tc").headers
    assert re.fullmatch(r"[0-9a-f]{20}", headers["X-Request-ID"])


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "IMAGE/PNG; x=y"])
def test_images_and_octet_streams_are_accepted(service: Service, kind: str) -> None:
    assert post(service, encoded(seven()), Content_Type=kind).status_code == 200


def test_a_body_without_content_type_is_recognised(service: Service) -> None:
    with service.client() as client:
        assert client.post("/v1/predict", content=encoded(seven())).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "text/html; charset=utf-8", "video/mp4"]
)
def test_other_types_are_415_with_the_accepted_ones(service: Service, kind: str) -> None:
    detail = problem(post(service, b"{}", Content_Type=kind), 415)["detail"]
    assert kind.partition(";")[0] in detail
    assert "image/png" in detail


def test_an_empty_body_is_400(service: Service) -> None:
    assert "empty" in problem(post(service, b""), 400)["detail"]


@pytest.mark.parametrize(
    "body",
    [b"this is text", encoded(seven())[:300], b"\x89PNG\r\n\x1a\n"],
    ids=["text", "cut", "only a signature"],
)
def test_an_unreadable_image_is_422(service: Service, body: bytes) -> None:
    assert problem(post(service, body), 422)["title"] == "Not an image"


def test_a_blank_image_is_422(service: Service) -> None:
    blank = encoded(np.full((50, 50), 255, np.uint8))
    assert problem(post(service, blank), 422)["title"] == "Blank image"


def test_a_large_image_is_read_and_one_too_large_is_413(service: Service) -> None:
    assert post(service, encoded(seven(side=1500))).status_code == 200
    huge = encoded(Image.new("1", (5000, 4000)))
    assert "5000 x 4000 pixels" in problem(post(service, huge), 413)["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_405_with_the_allowed_one(service: Service, method: str) -> None:
    with service.client() as client:
        response = client.request(method, "/v1/predict")
    assert response.status_code == 405
    assert response.headers["Allow"] == "OPTIONS, POST"


def test_concurrent_clients_each_get_the_answer_to_their_own_image(
    service: Service, judged: Judged
) -> None:
    bodies = [encoded(picture) for picture in judged.pixels]
    with service.client(headers=PNG) as client, ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda body: client.post("/v1/predict", content=body), bodies))
    answers = [response.json()["predictions"][0]["digit"] for response in responses]
    assert answers == judged.digits.tolist()


def doubled_tag(side: int) -> bytes:
    """A TIFF with two widths: `side`, which libtiff uses, and then 1."""
    sheet = Image.new("L", (side, side), 255)
    sheet.paste(Image.fromarray(seven()))
    body = bytearray(encoded(sheet, "TIFF", compression="tiff_deflate"))
    (start,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, start)
    tags = [bytes(body[start + 2 + 12 * i :][:12]) for i in range(count)]
    lie = tags[0][:8] + struct.pack("<I", 1)
    directory = struct.pack("<H", count + 1) + tags[0] + lie + b"".join(tags[1:]) + bytes(4)
    struct.pack_into("<I", body, 4, len(body))
    return bytes(body) + directory


def test_an_image_with_a_false_size_is_rejected(service: Service) -> None:
    refusal = problem(post(service, doubled_tag(5000), Content_Type="image/tiff"), 413)
    assert "5000 x 5000 pixels" in refusal["detail"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read in /proc")
def test_only_a_few_large_images_are_decoded_at_a_time(
    published: tuple[Store, Version],
) -> None:
    large = encoded(Image.fromarray(seven()).resize((3500, 3500)).convert("RGBA"))
    models = published[0].folder.parent
    with Service.started(models, request_timeout=PATIENCE) as service:
        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(lambda _: post(service, large), range(8)))
        status = Path(f"/proc/{service.process.pid}/status").read_text()
    answers = [response.json()["predictions"][0]["digit"] for response in responses]
    assert answers == [7] * 8
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024  # MiB
    assert peak < 500


@pytest.mark.parametrize(
    "request_",
    [
        b"garbage\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=["garbage", "negative length", "length in words", "bad chunk"],
)
def test_invalid_http_is_a_problem_of_400(service: Service, request_: bytes) -> None:
    with socket.create_connection(address(service), timeout=10) as connection:
        connection.sendall(request_)
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["request_id"].encode() in head


def received(connection: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


class TestLimits:
    """A service with low limits."""

    @pytest.fixture(scope="class")
    @staticmethod
    def strict(published: tuple[Store, Version]) -> Any:
        models = published[0].folder.parent
        with Service.started(models, max_body=2000, request_timeout=0.5) as service:
            yield service

    def test_a_content_length_over_the_limit_is_413(self, strict: Service) -> None:
        detail = problem(post(strict, bytes(2001)), 413)["detail"]
        assert "2,000 bytes (DIGITSERVE_MAX_BODY)" in detail

    def test_a_chunked_body_over_the_limit_is_413_while_it_is_read(self, strict: Service) -> None:
        with strict.client() as client:
            chunks = (bytes(500) for _ in range(5))
            assert client.post("/v1/predict", content=chunks, headers=PNG).status_code == 413

    def test_a_client_that_sends_everything_before_reading_still_gets_413(
        self, strict: Service
    ) -> None:
        with socket.create_connection(address(strict), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                b"Content-Length: 12000\r\n\r\n"
            )
            connection.sendall(bytes(12000))
            time.sleep(0.2)  # a reset would have arrived before we read
            assert received(connection).startswith(b"HTTP/1.1 413")

    def test_a_body_of_exactly_the_limit_is_accepted(self, strict: Service) -> None:
        assert problem(post(strict, bytes(2000)), 422)

    def test_a_client_that_stalls_is_408(self, strict: Service) -> None:
        with socket.create_connection(address(strict), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
            )
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"within 0.5 s" in answer

    def test_a_client_that_disconnects_half_way_affects_no_other(self, strict: Service) -> None:
        with socket.create_connection(address(strict), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
            )
        assert post(strict, encoded(seven())).status_code == 200
        assert "Traceback" not in strict.log


def address(service: Service) -> tuple[str, int]:
    url = httpx2.URL(service.url)
    return url.host, url.port or 80
