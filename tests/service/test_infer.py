"""POST /v2/models/digits/infer, as the protocol's own client and a careless one see it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from contract.store import Store
from contract.version import Version
from service.tensors import Pixels
from tests.service.running import Service
from training.evaluate import logits_of
from training.run import Run

HEADER = "Inference-Header-Content-Length"


@pytest.fixture
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as client:
        yield client


@pytest.fixture(scope="module")
def pixels(run: Run) -> Pixels:
    return np.resize(run.test_set()[0], (300, 28, 28))


@pytest.fixture(scope="module")
def logits(run: Run, pixels: Pixels) -> NDArray[np.float32]:
    """What PyTorch says."""
    return logits_of(run.checkpoint().build(), torch.from_numpy(pixels)).numpy()


def asked(pixels: Pixels, *, binary: bool) -> list[triton.InferInput]:
    tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    return [tensor]


@pytest.mark.parametrize("binary_in", [True, False], ids=["bytes in", "JSON in"])
@pytest.mark.parametrize("binary_out", [True, False], ids=["bytes out", "JSON out"])
def test_the_logits_are_those_of_pytorch(
    client: triton.InferenceServerClient,
    pixels: Pixels,
    logits: NDArray[np.float32],
    binary_in: bool,
    binary_out: bool,
) -> None:
    outputs = [
        triton.InferRequestedOutput("logits", binary_data=binary_out),
        triton.InferRequestedOutput("probabilities", binary_data=not binary_out),
    ]
    result = client.infer(
        "digits", asked(pixels[:7], binary=binary_in), outputs=outputs, request_id="mine"
    )
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:7], atol=1e-3)
    np.testing.assert_allclose(result.as_numpy("probabilities").sum(1), 1, atol=1e-5)
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == (
        "mine",
        "digits",
        "1",
    )


def test_a_client_that_names_no_outputs_gets_both_in_bytes(
    client: triton.InferenceServerClient, pixels: Pixels
) -> None:
    result = client.infer("digits", asked(pixels[:2], binary=True))
    for output in result.get_response()["outputs"]:
        assert output["parameters"]["binary_data_size"] == 2 * 10 * 4
        assert output["shape"] == [2, 10]


def test_more_pictures_than_a_batch_holds_are_answered_by_one_version(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    result = client.infer("digits", asked(pixels[:200], binary=True))
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:200], atol=1e-3)


def test_a_hundred_requests_at_once_each_get_their_own_answer(
    service: Service, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    url = service.url.removeprefix("http://")
    with triton.InferenceServerClient(url, concurrency=16) as client:
        handles = [
            client.async_infer("digits", asked(pixels[i : i + 1 + i % 3], binary=True))
            for i in range(100)
        ]
        for i, handle in enumerate(handles):
            found = handle.get_result().as_numpy("logits")
            np.testing.assert_allclose(found, logits[i : i + 1 + i % 3], atol=1e-3)


def post(service: Service, body: bytes, **headers: object) -> httpx2.Response:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return httpx2.post(f"{service.url}/v2/models/digits/infer", content=body, headers=named)


def test_bytes_alone_are_one_picture(
    service: Service, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    response = post(service, pixels[3].tobytes(), Inference_Header_Content_Length=0)
    assert response.status_code == 200
    answer = response.content[int(response.headers[HEADER]) :]
    found = np.frombuffer(answer, "<f4").reshape(2, 10)
    np.testing.assert_allclose(found[0], logits[3], atol=1e-3)


def document(**changes: Any) -> bytes:
    """A request for one picture whose data follows in bytes, with some of it changed."""
    tensor = {
        "name": "pixels",
        "shape": [1, 28, 28],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": 784},
    }
    whole = {key: changes.pop(key) for key in ("outputs", "parameters") if key in changes}
    return json.dumps({"inputs": [tensor | changes], **whole}).encode()


BLOB = bytes(784)


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (document() + BLOB, "-1", "Inference-Header-Content-Length is -1"),
        (document() + BLOB, "many", "Inference-Header-Content-Length is many"),
        (document(), str(len(document()) + 1), "Inference-Header-Content-Length is"),
        (document() + BLOB[1:], str(len(document())), "783 came"),
        (document() + BLOB + b"x", str(len(document())), "785 came"),
        (bytes(783), "0", "783 came"),
        (document(), None, "binary_data_size needs the header"),
        (document(parameters={}, data=[0] * 784) + b"x", None, "not JSON"),
        (b"nonsense", None, "not JSON"),
        (b"[]", None, "the request"),
        (b"{}", None, "inputs: Field required"),
        (b'{"inputs": []}', None, "inputs: List should have at least 1 item"),
        (document(name="image"), None, "not image of UINT8"),
        (document(datatype="FP32"), None, "not pixels of FP32"),
        (document(shape=[28, 28]), None, "has the shape"),
        (document(shape=[0, 28, 28]), None, "n at least 1"),
        (document(shape=[1, 28, 27]), None, "has the shape"),
        (document(outputs=[{"name": "softmax"}]), None, "outputs.0.name"),
        (document(outputs=[{"name": "logits"}] * 2), None, "logits is asked for twice"),
        (document(outputs=[{}] * 100_000), None, "outputs: at most 2, 100000 came"),
        (b'{"inputs": [' + b"{}," * 10**5 + b"{}]}", None, "inputs: at most 1, 100001 came"),
        (document(shape=["x"] * 10**5), None, "inputs.0.shape: List should have at most 8"),
        (document() + BLOB, "9" * 5000, "Inference-Header-Content-Length is 99999999999999999999,"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_that_clients_read(
    service: Service, body: bytes, length: str | None, said: str
) -> None:
    headers = {} if length is None else {"Inference_Header_Content_Length": length}
    response = post(service, body, **headers)
    assert response.status_code == 400
    assert said in response.json()["error"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([0] * 783, "783 came"),
        ([0] * 783 + [256], "whole numbers from 0 to 255"),
        ([0] * 783 + [-1], "whole numbers from 0 to 255"),
        ([0] * 783 + [0.5], "whole numbers from 0 to 255"),
        (["a"] * 784, "whole numbers from 0 to 255"),
        ([[0] * 28] * 27 + [[0] * 27], "783 came"),
        ([[0] * 28] * 27 + [0], "28 came"),
        ([True] * 784, "whole numbers from 0 to 255"),
        (["a" * 10**6] + ["a"] * 783, "whole numbers from 0 to 255"),
        (None, "0 came"),
    ],
)
def test_numbers_that_are_no_pixels_are_refused(service: Service, data: Any, said: str) -> None:
    tensor = {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "data": data}
    response = post(service, json.dumps({"inputs": [tensor]}).encode())
    assert response.status_code == 400
    assert said in response.json()["error"]


def test_a_long_document_is_read_as_a_short_one(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    """In JSON 64 pictures have 150 kB, which are read aside; the others are answered meanwhile."""
    result = client.infer("digits", asked(pixels[:64], binary=False))
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:64], atol=1e-3)


def test_too_many_pictures_are_refused_with_the_setting(
    client: triton.InferenceServerClient, pixels: Pixels
) -> None:
    with pytest.raises(InferenceServerException, match="DIGITSERVE_MAX_PICTURES") as refused:
        client.infer("digits", asked(pixels, binary=True))
    assert refused.value.status() == "413"


def test_the_timeout_is_in_microseconds(published: tuple[Store, Version], pixels: Pixels) -> None:
    folder = published[0].folder.parent
    with Service.started(folder, max_wait=1, request_timeout=3) as service:
        url = service.url.removeprefix("http://")
        with triton.InferenceServerClient(url) as client:
            with pytest.raises(InferenceServerException, match="deadline") as refused:
                client.infer("digits", asked(pixels[:1], binary=True), timeout=100_000)
            assert refused.value.status() == "504"
            client.infer("digits", asked(pixels[:1], binary=True), timeout=2_500_000)
