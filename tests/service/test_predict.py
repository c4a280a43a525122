"""POST /v1/predict, as a client of the running service sees it."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from PIL import Image

from contract.store import Store, Version
from tests.service.pictures import encoded, seven
from tests.service.running import Service
from training.evaluate import logits_of
from training.run import Run

PNG = {"Content-Type": "image/png"}


def post(service: Service, body: bytes, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with service.client() as client:
        return client.post("/v1/predict", content=body, headers=PNG | named)


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    """The problem document of a response, which must be one of `status`."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document


def test_a_test_digit_is_answered_as_pytorch_answers_it(
    service: Service, run: Run, version: Version
) -> None:
    pixels, _ = run.test_set()
    logits = logits_of(run.checkpoint().build(), torch.from_numpy(pixels[:1]))
    expected = torch.softmax(logits / version.card.temperature, 1)[0]
    answer = post(service, encoded(pixels[0])).json()
    assert answer["model"] == {"name": "digits", "version": "1"}
    (prediction,) = answer["predictions"]
    assert prediction["digit"] == int(expected.argmax())
    assert prediction["label"] == str(prediction["digit"])
    assert prediction["confidence"] == pytest.approx(float(expected.max()), abs=1e-4)
    assert prediction["probabilities"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_drawing_is_read_whatever_its_size_and_place(service: Service) -> None:
    drawings = [seven(), seven(side=400, at=(0.05, 0.6), size=0.3), seven(paper=0, ink=255)]
    answers = [post(service, encoded(drawing)).json() for drawing in drawings]
    assert [answer["predictions"][0]["digit"] for answer in answers] == [7, 7, 7]


def test_the_answer_carries_timings_batch_size_and_an_id(service: Service) -> None:
    headers = post(service, encoded(seven())).headers
    assert re.fullmatch(
        r"decode;dur=[\d.]+, queue;dur=[\d.]+, infer;dur=[\d.]+", headers["Server-Timing"]
    )
    assert headers["X-Batch-Size"] == "1"
    assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-ID"])


def test_a_clients_own_request_id_is_kept(service: Service) -> None:
    assert (
        post(service, encoded(seven()), X_Request_ID="order-7").headers["X-Request-ID"] == "order-7"
    )


def test_a_request_id_that_could_forge_a_log_line_is_replaced(service: Service) -> None:
    headers = post(service, encoded(seven()), X_Request_ID="a b\tc").headers
    assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-ID"])


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "IMAGE/PNG; x=y"])
def test_pictures_and_octet_streams_are_taken(service: Service, kind: str) -> None:
    assert post(service, encoded(seven()), Content_Type=kind).status_code == 200


def test_a_body_without_content_type_is_looked_at(service: Service) -> None:
    with service.client() as client:
        assert client.post("/v1/predict", content=encoded(seven())).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "image/svg+xml"])
def test_other_types_are_415_and_told_which_are_taken(service: Service, kind: str) -> None:
    detail = problem(post(service, b"{}", Content_Type=kind), 415)["detail"]
    assert kind in detail
    assert "image/png" in detail


def test_an_empty_body_is_400(service: Service) -> None:
    assert "empty" in problem(post(service, b""), 400)["detail"]


@pytest.mark.parametrize(
    "body",
    [b"this is text", encoded(seven())[:300], b"\x89PNG\r\n\x1a\n"],
    ids=["text", "cut", "only a signature"],
)
def test_what_is_no_readable_picture_is_422(service: Service, body: bytes) -> None:
    assert problem(post(service, body), 422)["title"] == "Not a picture"


def test_a_blank_picture_is_422(service: Service) -> None:
    blank = encoded(np.full((50, 50), 255, np.uint8))
    assert problem(post(service, blank), 422)["title"] == "Blank picture"


def test_a_large_picture_is_read_and_one_too_large_is_413(service: Service) -> None:
    assert post(service, encoded(seven(side=1500))).status_code == 200
    huge = encoded(Image.new("1", (5000, 4000)))
    assert "5000 x 4000 pixels" in problem(post(service, huge), 413)["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_405_and_told_which_is_taken(service: Service, method: str) -> None:
    with service.client() as client:
        response = client.request(method, "/v1/predict")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_concurrent_clients_each_get_the_answer_to_their_own_picture(
    service: Service, run: Run
) -> None:
    pixels, _ = run.test_set()
    expected = logits_of(run.checkpoint().build(), torch.from_numpy(pixels)).argmax(1)
    with service.client(headers=PNG) as client, ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda p: client.post("/v1/predict", content=encoded(p)), pixels))
    answers = [response.json()["predictions"][0]["digit"] for response in responses]
    assert answers == expected.tolist()


class TestLimits:
    """A service with small limits of its own."""

    @pytest.fixture(scope="class")
    @staticmethod
    def strict(published: tuple[Store, Version]) -> Any:
        models = published[0].folder.parent
        with Service.started(models, max_body=2000, request_timeout=0.5) as service:
            yield service

    def test_a_body_over_the_limit_is_413_by_its_length(self, strict: Service) -> None:
        detail = problem(post(strict, bytes(2001)), 413)["detail"]
        assert "2,000 bytes (DIGITSERVE_MAX_BODY)" in detail

    def test_a_chunked_body_over_the_limit_is_413_while_it_is_read(self, strict: Service) -> None:
        with strict.client() as client:
            chunks = (bytes(500) for _ in range(5))
            assert client.post("/v1/predict", content=chunks, headers=PNG).status_code == 413

    def test_a_body_of_exactly_the_limit_is_looked_at(self, strict: Service) -> None:
        assert problem(post(strict, bytes(2000)), 422)

    def test_a_client_that_stalls_is_408(self, strict: Service) -> None:
        with socket.create_connection(address(strict), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
            )
            answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"within 0.5 s" in answer

    def test_a_client_that_hangs_up_half_way_disturbs_nobody(self, strict: Service) -> None:
        with socket.create_connection(address(strict), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
            )
        assert post(strict, encoded(seven())).status_code == 200
        assert "Traceback" not in strict.log


def address(service: Service) -> tuple[str, int]:
    url = httpx2.URL(service.url)
    return url.host, url.port or 80
