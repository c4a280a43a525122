"""The model repository API: how Triton's clients switch to another version."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from contract.store import Store
from contract.version import Version
from service.tensors import Pixels
from tests.support import fetch
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service, status, two_workers, wait_until
from tests.support.tensors import client_of, inputs_of
from tests.support.versions import LETTERS, publish, two_versions


def of_version(number: int) -> str:
    return json.dumps({"version_policy": {"specific": {"versions": [number]}}})


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Version 1 is current, 2 has letters as labels instead of digits, 3 is broken."""
    store = two_versions(published, tmp_path_factory.mktemp("repository"))
    number = publish(store, published[1])
    (store.folder / str(number) / "model.onnx").write_bytes(b"broken")
    return store


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """A service in which version 1 serves and no other is loaded."""
    with client_of(running) as client:
        client.load_model("digits", ADMIN, config=of_version(1))
        client.unload_model("digits", ADMIN, query_params={"version": "2"})
    return running


def states(client: triton.InferenceServerClient) -> dict[str, tuple[str, str]]:
    index: Any = client.get_model_repository_index()
    assert {entry["name"] for entry in index} == {"digits"}
    return {entry["version"]: (entry["state"], entry["reason"]) for entry in index}


def post(service: Service, path: str, body: object = None, **headers: str) -> httpx2.Response:
    content = b"" if body is None else json.dumps(body).encode()
    return fetch.post(
        f"{service.url}/v2/repository/{path}", content=content, headers=headers, timeout=PATIENCE
    )


def test_the_index_lists_every_version_in_the_store(
    client: triton.InferenceServerClient,
) -> None:
    assert states(client)["1"] == ("READY", "")
    assert states(client)["2"] == ("UNAVAILABLE", "unloaded")
    assert states(client)["3"][0] == "UNAVAILABLE"


def test_the_index_may_be_limited_to_ready_versions(service: Service) -> None:
    index = post(service, "index", {"ready": True}).json()
    assert index == [{"name": "digits", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("body", [{"ready": "yes"}, [], "ready"])
def test_an_invalid_index_request_is_rejected(service: Service, body: object) -> None:
    assert post(service, "index", body).status_code == 400


def test_a_loaded_version_serves(
    client: triton.InferenceServerClient, store: Store, pixels: Pixels
) -> None:
    client.load_model("digits", ADMIN, config=of_version(2))
    assert states(client)["2"] == ("READY", "")
    assert states(client)["1"] == ("UNAVAILABLE", "loaded, but another version serves")
    assert client.get_model_metadata("digits")["versions"] == ["2"]
    assert client.infer("digits", inputs_of(pixels[:1])).get_response()["model_version"] == "2"
    assert store.current() == 2
    outputs = [triton.InferRequestedOutput("logits", class_count=1)]
    texts = client.infer("digits", inputs_of(pixels[:1]), outputs=outputs).as_numpy("logits")
    assert texts[0][0].decode().split(":")[2] in LETTERS


@pytest.mark.parametrize("how", ["parameter", "query"])
def test_the_version_may_be_in_the_body_or_the_query(service: Service, how: str) -> None:
    path = "models/digits/load"
    if how == "query":
        response = post(service, f"{path}?version=2", **ADMIN)
    else:
        response = post(service, path, {"parameters": {"version": "2"}}, **ADMIN)
    assert response.status_code == 200
    assert response.json() == {
        "model": {"name": "digits", "version": "2"},
        "previous": "1",
        "behind": [],
        "warnings": ["Versions 2 and 1 have different labels: not compared."],
    }


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("index", {"ready": None}, 200),
        ("models/digits/load", {"parameters": None}, 200),
        ("models/digits/load", {"parameters": {"version": None, "config": None}}, 200),
        ("models/digits/unload", {"parameters": None}, 409),  # the version that serves
        ("models/digits/unload?version=2", {"parameters": {"unload_dependents": None}}, 200),
    ],
)
def test_null_is_accepted_for_optional_fields(
    service: Service, path: str, body: object, status: int
) -> None:
    assert post(service, path, body, **ADMIN).status_code == status


def test_without_a_version_the_current_one_of_the_store_is_loaded(
    client: triton.InferenceServerClient, store: Store
) -> None:
    store.activate(2)
    assert states(client)["1"][0] == "READY"  # watching is disabled
    client.load_model("digits", ADMIN)
    assert states(client)["2"][0] == "READY"


def test_a_broken_current_version_is_rejected_with_the_reason(
    client: triton.InferenceServerClient, store: Store
) -> None:
    current = store.folder / "current"
    before = current.read_text()
    current.write_text("3\n")
    try:
        with pytest.raises(InferenceServerException, match="version 3 does not serve") as refused:
            client.load_model("digits", ADMIN)
    finally:
        current.write_text(before)
    assert refused.value.status() == "409"
    assert states(client)["1"][0] == "READY"
    assert "sha256" in states(client)["3"][1]


@pytest.mark.parametrize(
    ("config", "status", "message"),
    [
        (of_version(3), "409", "sha256"),
        (of_version(77), "404", "version 77 is not in the store"),
        (of_version(-1), "404", "is no version's number"),
        (json.dumps({"version_policy": {"all": {}}}), "400", "one version serves at a time"),
        (
            json.dumps({"version_policy": {"specific": {"versions": [1, 2]}}}),
            "400",
            "one version serves at a time",
        ),
        (json.dumps({"max_batch_size": 7}), "400", "max_batch_size is set where the service"),
        ("nonsense", "400", "config is not JSON"),
        ("[]", "400", "config is not a JSON object"),
    ],
)
def test_a_version_that_cannot_be_loaded_changes_nothing(
    client: triton.InferenceServerClient, config: str, status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message) as refused:
        client.load_model("digits", ADMIN, config=config)
    assert refused.value.status() == status
    assert states(client)["1"][0] == "READY"


def test_an_unchanged_configuration_is_accepted(client: triton.InferenceServerClient) -> None:
    client.load_model("digits", ADMIN, config=json.dumps(client.get_model_config("digits")))


def test_files_are_not_accepted_over_http(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="publish a version to the store"):
        client.load_model("digits", ADMIN, config="{}", files={"file:1/model.onnx": b"onnx"})


def test_the_serving_version_cannot_be_unloaded(client: triton.InferenceServerClient) -> None:
    for query in ({}, {"version": "1"}):
        with pytest.raises(InferenceServerException, match="serves and is not unloaded") as refused:
            client.unload_model("digits", ADMIN, query_params=query)
        assert refused.value.status() == "409"
    assert client.is_model_ready("digits")


def test_unloading_frees_the_previous_version(
    client: triton.InferenceServerClient, service: Service
) -> None:
    client.load_model("digits", ADMIN, config=of_version(2))
    assert status(service)["previous"] == {"version": "1"}
    client.unload_model("digits", ADMIN, query_params={"version": "1"})
    assert status(service)["previous"] is None
    assert states(client)["1"] == ("UNAVAILABLE", "unloaded")
    client.load_model("digits", ADMIN, config=of_version(1))


def test_a_missing_version_cannot_be_unloaded(client: triton.InferenceServerClient) -> None:
    for name, version in (("letters", "1"), ("digits", "77"), ("digits", "x")):
        with pytest.raises(InferenceServerException) as refused:
            client.unload_model(name, ADMIN, query_params={"version": version})
        assert refused.value.status() == "404"


@pytest.mark.parametrize("what", ["load", "unload"])
def test_switching_needs_the_admin_token(service: Service, what: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = post(service, f"models/digits/{what}", **headers)
        assert response.status_code == 401
        assert "admin token" in response.json()["error"]


@pytest.mark.parametrize("what", ["load", "unload"])
@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"parameters": 7}', b" " * 70_000])
def test_an_invalid_request_is_rejected(service: Service, what: str, body: bytes) -> None:
    url = f"{service.url}/v2/repository/models/digits/{what}"
    response = fetch.post(url, content=body, headers=ADMIN)
    assert response.status_code in (400, 413)
    assert list(response.json()) == ["error"]


def test_without_an_admin_token_the_routes_are_closed(
    published: tuple[Store, Version],
) -> None:
    with Service.started(published[0].folder.parent) as service, client_of(service) as client:
        with pytest.raises(InferenceServerException, match="DIGITSERVE_ADMIN_TOKEN is not set"):
            client.load_model("digits", ADMIN)
        assert states(client) == {"1": ("READY", "")}


def test_no_answer_comes_from_another_version_than_requested(
    store: Store, tmp_path: Path, pixels: Pixels
) -> None:
    """A request for version 1 waits for a fuller batch; when the batch is computed, 2 serves."""
    shutil.copytree(store.folder, tmp_path / "digits")
    Store(tmp_path, "digits").activate(1)
    found: list[Exception] = []
    with Service.started(tmp_path, admin_token=TOKEN, watch_seconds=0, max_wait=1) as service:

        def send() -> None:
            with client_of(service) as client:
                try:
                    client.infer("digits", inputs_of(pixels[:1]), model_version="1")
                except InferenceServerException as error:
                    found.append(error)

        while not found:  # a switch that takes longer than the wait is too late
            for number in (2, 1):  # both are warm then
                load = f"models/digits/load?version={number}"
                assert post(service, load, **ADMIN).status_code == 200
            sender = threading.Thread(target=send)
            sender.start()
            wait_until(lambda: status(service)["queue_depth"] > 0, service)
            assert post(service, "models/digits/load?version=2", **ADMIN).status_code == 200
            sender.join()
    assert "version 1 does not serve; version 2 does" in str(found[0])


@pytest.mark.slow
def test_a_version_is_unloaded_in_every_worker(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    with two_workers(two_versions(published, tmp_path)) as service:

        def previous() -> set[str]:
            """The previous versions of the workers that 16 connections reach."""
            return {str(status(service)["previous"]) for _ in range(16)}

        assert post(service, "models/digits/load?version=2", **ADMIN).json()["behind"] == []
        assert previous() == {"{'version': '1'}"}
        assert post(service, "models/digits/unload?version=1", **ADMIN).status_code == 200
        deadline = time.monotonic() + PATIENCE
        while previous() != {"None"}:
            assert time.monotonic() < deadline
