"""The Open Inference Protocol's metadata of server and model, read by Triton's clients."""

import signal
import time
from typing import Any

import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from contract.store import Store
from contract.version import Version
from service.tensors import Pixels
from tests.support import fetch
from tests.support.metrics import exposition
from tests.support.running import Service
from tests.support.tensors import BLOB, HEADER, client_of, document, inputs_of, post


def get(service: Service, path: str) -> httpx2.Response:
    return fetch.get(f"{service.url}/v2{path}")


def test_server_and_model_are_live_and_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")


@pytest.mark.parametrize(("name", "version"), [("letters", ""), ("digits", "2"), ("digits", "x")])
def test_another_model_or_version_is_not_ready(
    client: triton.InferenceServerClient, name: str, version: str
) -> None:
    assert not client.is_model_ready(name, version)


def test_a_draining_service_is_live_but_not_ready(published: tuple[Store, Version]) -> None:
    with Service.started(published[0].folder.parent, drain_seconds=30) as service:
        service.send(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while get(service, "/health/ready").status_code == 200:
            assert time.monotonic() < deadline
        assert get(service, "/health/ready").status_code == 503
        assert get(service, "/health/ready").json() == {"error": "the service is stopping"}
        assert get(service, "/models/digits/ready").status_code == 503
        with client_of(service) as client:
            assert client.is_server_live()
            assert not client.is_server_ready()


def test_the_server_lists_its_extensions(client: triton.InferenceServerClient) -> None:
    server = client.get_server_metadata()
    assert server["name"] == "digitserve"
    assert set(server["extensions"]) == {
        "binary_tensor_data", "classification", "model_configuration", "model_repository",
        "schedule_policy", "statistics",
    }  # fmt: skip


@pytest.mark.parametrize("version", ["", "1"])
def test_the_model_metadata_describes_its_tensors(
    client: triton.InferenceServerClient, version: str
) -> None:
    assert client.get_model_metadata("digits", version) == {
        "name": "digits",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 28, 28]}],
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [-1, 10]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        ],
    }


@pytest.mark.parametrize("version", ["", "1"])
def test_the_configuration_follows_the_settings(
    client: triton.InferenceServerClient, version: str
) -> None:
    config = client.get_model_config("digits", version)
    assert (config["name"], config["max_batch_size"]) == ("digits", 256)
    assert config["input"] == [{"name": "pixels", "data_type": "TYPE_UINT8", "dims": [28, 28]}]
    assert [output["data_type"] for output in config["output"]] == ["TYPE_FP32"] * 2
    assert config["dynamic_batching"]["preferred_batch_size"] == [64]
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 0
    assert config["version_policy"] == {"specific": {"versions": [1]}}
    assert config["instance_group"][0]["kind"] == "KIND_CPU"


@pytest.mark.parametrize("what", ["", "/ready", "/config", "/stats"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/models/letters", "the model served here is 'digits'"),
        ("/models/letters/versions/1", "the model served here is 'digits'"),
        ("/models/digits/versions/2", "version 2 "),
        ("/models/digits/versions/x", "x"),
        ("/models/digits/versions/01", "01"),
    ],
)
def test_the_error_about_an_unknown_model_or_version_is_one_sentence(
    service: Service, path: str, what: str, message: str
) -> None:
    response = get(service, path + what)
    assert response.status_code == 404
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/models/digits/generate", 404),
        ("GET", "/models/digits/infer", 405),
        ("PUT", "/models/digits/versions/1/infer", 405),
        ("POST", "/health/live", 405),
        ("GET", "/repository/index", 405),
        ("DELETE", "/models/digits", 405),
    ],
)
def test_errors_of_other_routes_and_methods_have_the_format_of_the_protocol(
    service: Service, method: str, path: str, status: int
) -> None:
    response = fetch.request(method, f"{service.url}/v2{path}")
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert ("Allow" in response.headers) == (status == 405)


def test_the_serving_version_can_be_requested_by_number(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    result = client.infer("digits", inputs_of(pixels[:3]), model_version="1", request_id="mine")
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:3], atol=1e-3)
    assert result.get_response()["model_version"] == "1"
    assert result.get_response()["id"] == "mine"


def test_a_version_accepts_a_large_body_too(
    client: triton.InferenceServerClient, pixels: Pixels, logits: NDArray[np.float32]
) -> None:
    result = client.infer("digits", inputs_of(pixels[:200], binary=False), model_version="1")
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:200], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("digits", "2", "version 2 does not serve; version 1 does"),
        ("digits", "x", "version x does not serve; version 1 does"),
        ("letters", "", "the model served here is 'digits'"),
        ("letters", "1", "the model served here is 'digits'"),
        ("a model?all", "", "the model served here is 'digits'"),
    ],
)
def test_a_version_that_does_not_serve_is_an_error(
    client: triton.InferenceServerClient, pixels: Pixels, name: str, version: str, message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message) as refused:
        client.infer(name, inputs_of(pixels[:1]), model_version=version)
    assert refused.value.status() == "404"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/models/letters", "Request for unknown model: 'letters' is not found"),
        ("/models/letters/config", "Request for unknown model: 'letters' is not found"),
        ("/models/letters/stats", "Request for unknown model: 'letters' is not found"),
        ("/models/letters/versions/1", "Request for unknown model: 'letters' is not found"),
        ("/models/digits/versions/9", "Request for unknown model: 'digits' version 9 is not found"),
        ("/models/" + "a" * 999, f"Request for unknown model: '{'a' * 64}' is not found"),
    ],
)
def test_errors_start_with_the_words_of_triton(
    service: Service, client: triton.InferenceServerClient, path: str, message: str
) -> None:
    error = get(service, path).json()["error"]
    assert error.startswith(f"{message}; ")
    assert len(error) < 300


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [("letters", "", "'letters' is not found"), ("digits", "9", "'digits' version 9 is not found")],
)
def test_tritons_client_raises_the_expected_error(
    client: triton.InferenceServerClient, pixels: Pixels, name: str, version: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.infer(name, inputs_of(pixels[:1]), model_version=version)
    assert refused.value.message().startswith(f"Request for unknown model: {message}")


def test_requests_by_version_are_counted_by_route(service: Service) -> None:
    def counted() -> float:
        label = 'code="200",method="POST",route="/v2/models/{model}/versions/{version}/infer"'
        lines = exposition(service).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if label in line)

    before = counted()
    head = document()
    post(service, head + BLOB, "/versions/1", **{HEADER: len(head)})
    assert counted() == before + 1


@pytest.mark.anyio
async def test_the_asynchronous_client_can_read_all_metadata(
    service: Service, pixels: Pixels
) -> None:
    url = service.url.removeprefix("http://")
    async with tritonclient.http.aio.InferenceServerClient(url) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("digits")
        assert not await client.is_model_ready("digits", "2")
        assert (await client.get_server_metadata())["name"] == "digitserve"
        assert (await client.get_model_metadata("digits"))["versions"] == ["1"]
        assert (await client.get_model_config("digits"))["name"] == "digits"
        statistics: Any = await client.get_inference_statistics("digits", "1")
        assert statistics["model_stats"][0]["version"] == "1"
        index: Any = await client.get_model_repository_index()
        assert index == [{"name": "digits", "version": "1", "state": "READY", "reason": ""}]
        result = await client.infer("digits", inputs_of(pixels[:2]), model_version="1")
        assert result.as_numpy("logits").shape == (2, 10)
        with pytest.raises(InferenceServerException, match="the model served here"):
            await client.infer("letters", inputs_of(pixels[:2]))


def test_with_api_keys_only_probes_are_open(published: tuple[Store, Version]) -> None:
    key = "a-key-of-sixteen-letters-or-more"
    with Service.started(published[0].folder.parent, api_keys=key) as service:
        for path in ("/health/live", "/health/ready", "/models/digits/ready"):
            assert get(service, path).status_code == 200
        for path in ("", "/models/digits", "/models/digits/config", "/models/stats"):
            assert get(service, path).status_code == 401
        head = document()
        for path in ("", "/versions/1"):
            refused = post(service, head + BLOB, path, **{HEADER: len(head)})
            assert (refused.status_code, list(refused.json())) == (401, ["error"])
            let_in = post(service, head + BLOB, path, **{HEADER: len(head), "X-API-Key": key})
            assert let_in.status_code == 200
