"""POST /v2/models/digits/infer with Triton's client and with handwritten requests."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from contract.store import Store
from contract.version import Version
from service.tensors import Pixels
from tests.support.running import Service
from tests.support.tensors import BLOB, HEADER, client_of, document, inputs_of, post


@pytest.mark.parametrize("binary_in", [True, False], ids=["bytes in", "JSON in"])
@pytest.mark.parametrize("binary_out", [True, False], ids=["bytes out", "JSON out"])
def test_the_logits_equal_those_of_pytorch(
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
        "digits", inputs_of(pixels[:7], binary=binary_in), outputs=outputs, request_id="mine"
    )
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:7], atol=1e-3)
    np.testing.assert_allclose(result.as_numpy("probabilities").sum(1), 1, atol=1e-5)
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == (
        "mine",
        "digits",
        "1",
    )


def test_by_default_both_outputs_are_returned_as_binary_data(
    client: triton.InferenceServerClient, pixels: Pixels
) -> None:
    result = client.infer("digits", inputs_of(pixels[:2], binary=True))
    for output in result.get_response()["outputs"]:
        assert output["parameters"]["binary_data_size"] == 2 * 10 * 4
        assert output["shape"] == [2, 10]


def test_more_images_than_a_batch_are_answered_by_one_version(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    result = client.infer("digits", inputs_of(pixels[:200], binary=True))
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:200], atol=1e-3)


def test_128_concurrent_requests_each_get_their_own_answer(
    service: Service, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    with client_of(service, concurrency=32) as client:
        handles = [
            client.async_infer("digits", inputs_of(pixels[i : i + 1 + i % 3]), request_id=str(i))
            for i in range(128)
        ]
        for i, handle in enumerate(handles):
            result = handle.get_result()
            assert result.get_response()["id"] == str(i)
            np.testing.assert_allclose(
                result.as_numpy("logits"), logits[i : i + 1 + i % 3], atol=1e-3
            )


@pytest.mark.anyio
async def test_the_asynchronous_client_gets_its_own_answers_too(
    service: Service, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    url = service.url.removeprefix("http://")
    async with tritonclient.http.aio.InferenceServerClient(url, conn_limit=32) as client:
        results = await asyncio.gather(
            *(
                client.infer("digits", inputs_of(pixels[i : i + 1], binary=i % 2 == 0))
                for i in range(128)
            )
        )
    found = np.concatenate([result.as_numpy("logits") for result in results])
    np.testing.assert_allclose(found, logits[:128], atol=1e-3)


def test_an_id_is_returned_only_if_one_was_sent(
    client: triton.InferenceServerClient, pixels: Pixels
) -> None:
    assert "id" not in client.infer("digits", inputs_of(pixels[:1])).get_response()


def test_outputs_are_in_the_requested_order(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    outputs = [triton.InferRequestedOutput(name) for name in ("probabilities", "logits")]
    result = client.infer("digits", inputs_of(pixels[:2]), outputs=outputs)
    names = [output["name"] for output in result.get_response()["outputs"]]
    assert names == ["probabilities", "logits"]
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:2], atol=1e-3)


def test_the_format_of_an_output_overrides_that_of_the_request(
    service: Service,
) -> None:
    outputs = [{"name": "logits"}, {"name": "probabilities", "parameters": {"binary_data": False}}]
    head = document(outputs=outputs, parameters={"binary_data_output": True})
    response = post(service, head + BLOB, **{HEADER: len(head)})
    length = int(response.headers[HEADER])
    first, second = json.loads(response.content[:length])["outputs"]
    assert first["parameters"] == {"binary_data_size": 40}
    assert "data" not in first
    assert len(second["data"]) == 10
    assert len(response.content) == length + 40


def test_a_pure_json_response_has_no_header_length(service: Service) -> None:
    head = document(outputs=[{"name": "logits"}])
    response = post(service, head + BLOB, **{HEADER: len(head)})
    assert HEADER not in response.headers
    assert response.headers["Content-Type"] == "application/json"


def test_unused_parameters_of_triton_are_accepted(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    result = client.infer(
        "digits", inputs_of(pixels[:1]), priority=3, sequence_id=7, parameters={"mine": "x"}
    )
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:1], atol=1e-3)


@pytest.mark.parametrize("binary", [True, False], ids=["bytes out", "JSON out"])
def test_a_classification_returns_the_best_classes_in_order(
    client: triton.InferenceServerClient,
    pixels: Pixels,
    logits: NDArray[np.float32],
    binary: bool,
) -> None:
    outputs = [
        triton.InferRequestedOutput("logits", binary_data=binary, class_count=3),
        triton.InferRequestedOutput("probabilities", binary_data=not binary),
    ]
    result = client.infer("digits", inputs_of(pixels[:100]), outputs=outputs)
    texts = result.as_numpy("logits")
    assert texts.shape == (100, 3)
    for row, expected in zip(texts, logits, strict=False):
        found = [(text if isinstance(text, str) else text.decode()).split(":") for text in row]
        best = np.argsort(-expected, kind="stable")[:3]
        assert [index for _, index, _ in found] == [str(index) for index in best]
        assert [label for *_, label in found] == [str(index) for index in best]
        np.testing.assert_allclose([float(value) for value, *_ in found], expected[best], atol=1e-3)
    assert result.as_numpy("probabilities").shape == (100, 10)


def test_a_classification_is_limited_by_the_number_of_classes(
    client: triton.InferenceServerClient, pixels: Pixels
) -> None:
    outputs = [triton.InferRequestedOutput("probabilities", class_count=1000)]
    result = client.infer("digits", inputs_of(pixels[:2]), outputs=outputs)
    assert result.as_numpy("probabilities").shape == (2, 10)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64, np.bool_, np.object_])
def test_the_error_about_another_data_type_names_the_expected_one(
    client: triton.InferenceServerClient, kind: type
) -> None:
    tensor: Any = np.zeros((1, 28, 28), kind)
    if kind is np.object_:  # BYTES
        tensor[:] = b"x"
    with pytest.raises(InferenceServerException, match="the input is pixels of UINT8") as refused:
        client.infer("digits", inputs_of(tensor))
    assert refused.value.status() == "400"


def test_a_body_of_pixels_alone_is_one_image(
    service: Service, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    response = post(service, pixels[3].tobytes(), Inference_Header_Content_Length=0)
    assert response.status_code == 200
    answer = response.content[int(response.headers[HEADER]) :]
    found = np.frombuffer(answer, "<f4").reshape(2, 10)
    np.testing.assert_allclose(found[0], logits[3], atol=1e-3)


@pytest.mark.parametrize(
    ("body", "length", "message"),
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
        (b"{}", None, "inputs: is required"),
        (b'{"inputs": []}', None, "inputs: List should have at least 1 item"),
        (document(name="image"), None, "not image of UINT8"),
        (document(datatype="FP32"), None, "not pixels of FP32"),
        (document(shape=[28, 28]), None, "has the shape"),
        (document(shape=[0, 28, 28]), None, "n at least 1"),
        (document(shape=[1, 28, 27]), None, "has the shape"),
        (document(outputs=[{"name": "softmax"}]), None, "outputs.0.name"),
        (document(outputs=[{"name": "logits"}] * 2), None, "logits is requested twice"),
        (document(shape=[-1, 28, 28]), None, "n at least 1"),
        (document(shape=[2**70, 28, 28]), None, "inputs.0.shape.0"),
        (document(shape=[1, 28, 2**63]), None, "has the shape"),
        (document(shape=[True, 28, 28]), None, "inputs.0.shape.0"),
        (document(shape=["1", 28, 28]), None, "inputs.0.shape.0"),
        (document(shape=[1.0, 28, 28]), None, "inputs.0.shape.0"),
        (document(shape=[]), None, "has the shape"),
        (document(shape=28), None, "inputs.0.shape"),
        (document(name=None), None, "inputs.0.name"),
        (document(data=[0] * 784) + BLOB, str(len(document(data=[0] * 784))), "only one of them"),
        (
            document(binary_data_size=2**63) + BLOB,
            str(len(document(binary_data_size=2**63))),
            "784 came",
        ),
        (document(binary_data_size=True), None, "inputs.0.parameters.binary_data_size"),
        (document(binary_data_size=-1) + BLOB, str(len(document(binary_data_size=-1))), "says -1"),
        (document(id=7), None, "id"),
        (document(parameters={"timeout": 0}), None, "parameters.timeout"),
        (document(parameters={"priority": -1}), None, "parameters.priority"),
        (
            document(outputs=[{"name": "logits", "parameters": {"classification": 0}}]),
            None,
            "classification",
        ),
        (
            document(outputs=[{"name": "logits", "parameters": {"classification": -1}}]),
            None,
            "classification",
        ),
        (
            document(outputs=[{"name": "logits", "parameters": {"binary_data": "yes"}}]),
            None,
            "binary_data",
        ),
        (document().replace(b"[1, 28, 28]", b"[NaN, 28, 28]"), None, "not JSON"),
        (
            document(parameters={}).replace(b'"UINT8"', b'"UINT8", "data": [Infinity]'),
            None,
            "not JSON",
        ),
        (b"", None, "not JSON"),
        (b"", "0", "0 came"),
        (document(outputs=[{}] * 100_000), None, "outputs: at most 2, 100000 came"),
        (b'{"inputs": [' + b"{}," * 10**5 + b"{}]}", None, "inputs: at most 1, 100001 came"),
        (document(shape=["x"] * 10**5), None, "inputs.0.shape: List should have at most 8"),
        (document() + BLOB, "9" * 5000, "Inference-Header-Content-Length is 99999999999999999999,"),
    ],
)
def test_errors_have_the_format_and_text_that_clients_expect(
    service: Service, body: bytes, length: str | None, message: str
) -> None:
    headers = {} if length is None else {"Inference_Header_Content_Length": length}
    response = post(service, body, **headers)
    assert response.status_code == 400
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("data", "message"),
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
        ([0] * 783 + [2**63], "whole numbers from 0 to 255"),
        ([[[[0] * 28] * 28]], "28 came"),
        ("x" * 784, "0 came"),
        ({"0": 0}, "0 came"),
        (None, "0 came"),
    ],
)
def test_numbers_that_are_not_pixels_are_rejected(
    service: Service, data: Any, message: str
) -> None:
    tensor = {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "data": data}
    response = post(service, json.dumps({"inputs": [tensor]}).encode())
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_null_is_accepted_for_optional_fields(service: Service) -> None:
    tensor = {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "data": [0] * 784}
    nothing = {"parameters": None}
    with_null = json.dumps(
        {
            "id": None,
            "inputs": [tensor | nothing],
            "outputs": [{"name": "logits", **nothing}, {"name": "probabilities", **nothing}],
            **nothing,
        }
    )
    everywhere = {"binary_data_output": None, "timeout": None, "priority": None, "mine": None}
    of_an_output = {"binary_data": None, "classification": None}
    empty = {"inputs": [tensor | {"parameters": {"binary_data_size": None}}]}
    parameters = {"parameters": everywhere, "outputs": None}
    outputs = {"outputs": [{"name": "logits", "parameters": of_an_output}]}
    plain = post(service, json.dumps({"inputs": [tensor]}).encode()).json()
    assert post(service, with_null.encode()).json() == plain
    assert post(service, json.dumps(empty | parameters).encode()).json() == plain
    assert post(service, json.dumps(empty | outputs).encode()).json() == {
        **plain,
        "outputs": plain["outputs"][:1],
    }


def test_null_data_is_accepted_with_binary_data(service: Service) -> None:
    head = document(data=None, id=None, parameters=None, outputs=None)
    assert post(service, head + BLOB, **{HEADER: len(head)}).status_code == 200


@pytest.mark.parametrize("name", ["inputs", "name", "shape", "datatype"])
def test_null_is_rejected_for_required_fields(service: Service, name: str) -> None:
    body = b'{"inputs": null}' if name == "inputs" else document(**{name: None})
    response = post(service, body)
    assert response.status_code == 400
    assert name in response.json()["error"]


def test_json_may_begin_with_a_byte_order_mark_but_is_utf_8(service: Service) -> None:
    head = b"\xef\xbb\xbf" + document()
    assert post(service, head + BLOB, **{HEADER: len(head)}).status_code == 200
    tensor = document(binary_data_size=None, data=[0] * 784)
    assert post(service, b"\xef\xbb\xbf" + tensor).status_code == 200
    refused = post(service, tensor.decode().encode("utf-16"))
    assert refused.status_code == 400
    assert "UTF-16" in refused.json()["error"]


def test_json_longer_than_any_valid_request_is_not_parsed(service: Service) -> None:
    """Parsing a megabyte of empty lists takes longer than computing a batch."""
    response = post(service, b'{"inputs": [' + b"[]," * 3 * 10**6 + b"[]]}")
    assert response.status_code == 413
    assert "of JSON" in response.json()["error"]


def test_the_largest_request_fits_into_json(
    service: Service, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    """Written with the spaces of Python's encoder, as floating point numbers."""
    data = np.maximum(pixels[:256], 100).astype(float).tolist()
    tensor = {"name": "pixels", "shape": [256, 28, 28], "datatype": "UINT8", "data": data}
    response = post(service, json.dumps({"inputs": [tensor]}).encode())
    assert response.status_code == 200


def test_a_long_document_is_read_like_a_short_one(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    """64 images are 150 kB of JSON, which is parsed in a thread and does not block others."""
    result = client.infer("digits", inputs_of(pixels[:64], binary=False))
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:64], atol=1e-3)


def test_the_error_about_too_many_images_names_the_setting(
    client: triton.InferenceServerClient, pixels: Pixels
) -> None:
    with pytest.raises(InferenceServerException, match="DIGITSERVE_MAX_PICTURES") as refused:
        client.infer("digits", inputs_of(pixels, binary=True))
    assert refused.value.status() == "400"


def test_the_timeout_is_in_microseconds(published: tuple[Store, Version], pixels: Pixels) -> None:
    folder = published[0].folder.parent
    with Service.started(folder, max_wait=1, request_timeout=3) as service:
        url = service.url.removeprefix("http://")
        with triton.InferenceServerClient(url) as client:
            with pytest.raises(InferenceServerException, match="deadline") as refused:
                client.infer("digits", inputs_of(pixels[:1], binary=True), timeout=100_000)
            assert refused.value.status() == "504"
            client.infer("digits", inputs_of(pixels[:1], binary=True), timeout=2_500_000)
