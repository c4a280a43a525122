"""A service whose model store is a bucket follows it, and goes on while it does not answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.location import location_of
from contract.settings import Access
from contract.store import Store, open_store
from contract.version import Version
from tests.support.metrics import metric
from tests.support.object_store import SECRET, ObjectServer
from tests.support.pictures import SEVEN
from tests.support.running import ADMIN, TOKEN, Service, status, wait_for, wait_until
from tests.support.versions import LETTERS, publish

URL = "s3://bucket/models"
KEY = "models/digits"  # of the model's objects
WATCH = 0.05  # seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    with ObjectServer.started() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def store(server: ObjectServer, version: Version, tmp_path: Path) -> Store:
    """As another machine sees it: 1 is current, 2 has letters as labels instead of digits."""
    access = Access(cache=tmp_path / "publisher", timeout=10, allow_http=True)
    store = open_store(location_of(URL), "digits", access=access)
    store.activate(publish(store, version))
    publish(store, version, labels=LETTERS)
    return store


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "models_cache": tmp_path / "cache",
        "watch_seconds": WATCH,
        "drain_seconds": 0,
        "admin_token": TOKEN,
    }


def started(settings: dict[str, Any], **others: object) -> Any:
    return Service.started(URL, **settings, **others)


def label(service: Service) -> str:
    with service.client() as client:
        answer = client.post("/v1/predict", content=SEVEN)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["predictions"][0]["label"])


def bucket(service: Service) -> Any:
    return status(service)["store"]["bucket"]


def test_it_serves_and_follows_the_current_version(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    with started(settings) as service:
        assert label(service) == "7"
        store.activate(2)
        wait_until(lambda: label(service) == LETTERS[7], service)
        assert status(service)["last_swap"]["result"] == "swapped"
        assert bucket(service)["reachable"] is True
        assert metric(service, 'store_sync_total{result="ok"}') > 0
        with service.client() as client:
            listed = client.get("/v1/models/digits").json()["versions"]
            assert [each["version"] for each in listed] == ["2", "1"]
            assert client.get("/v1/models/digits/versions/1").status_code == 200
    assert SECRET not in service.log


def test_it_goes_on_while_the_bucket_is_away(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    with started(settings, store_timeout=0.2) as service:
        server.fault = lambda _: 503
        reason = wait_for(lambda: bucket(service)["reason"], service)
        assert "digits" not in reason.partition(" cannot be reached: ")[2]
        assert label(service) == "7"
        assert metric(service, 'store_sync_total{result="unreachable"}') > 0
        assert status(service)["last_swap"] is None
        server.fault = lambda _: 403
        wait_until(lambda: metric(service, 'store_sync_total{result="denied"}') > 0, service)
        server.fault = lambda _: None
        store.activate(2)
        wait_until(lambda: label(service) == LETTERS[7], service)
        assert bucket(service)["reachable"] is True
    events = [each["event"] for each in service.events]
    assert sum("cannot read the current version" in each for each in events) == 1
    assert sum("answers again" in each for each in events) == 1


def test_it_starts_from_the_cache_without_the_bucket(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    with started(settings):
        pass
    server.fault = lambda _: 503
    with started(settings, store_timeout=0.4) as service:
        assert label(service) == "7"
        assert bucket(service)["reachable"] is False
        assert bucket(service)["last_sync"] is None


def test_it_starts_from_the_cache_without_the_files_of_the_current_version(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    with started(settings):
        pass
    store.activate(2)
    server.fault = lambda request: 503 if request.key.endswith("2/model.onnx") else None
    with started(settings, store_timeout=0.4) as service:
        assert label(service) == "7"
        assert "digits/2/model.onnx cannot be reached" in service.log
        assert metric(service, 'store_sync_total{result="unreachable"}') > 0
        failed = wait_for(lambda: status(service)["last_swap"], service)
        assert (failed["version"], failed["result"]) == ("2", "failed_verify")
        server.fault = lambda _: None
        wait_until(lambda: label(service) == LETTERS[7], service)


def test_without_bucket_and_cache_it_does_not_start(
    server: ObjectServer, settings: dict[str, Any]
) -> None:
    server.fault = lambda _: 503
    service = Service(URL, **settings, store_timeout=0.4)
    assert service.exit_code() == 2
    assert "cannot start: s3://bucket/models/digits/current cannot be reached: " in service.log
    assert SECRET not in service.log


def test_a_switch_by_an_admin_is_made_in_the_bucket_if_the_credentials_allow_it(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    with started(settings) as service, service.client(headers=ADMIN) as client:
        server.fault = lambda request: 403 if request.method == "PUT" else None
        answer = client.post("/v1/models/digits/versions/2/activate")
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("switch-not-recorded")
        assert "the credentials do not allow to use history/" in answer.json()["detail"]
        assert label(service) == "7"
        assert store.current() == 1
        server.fault = lambda _: None
        assert client.post("/v1/models/digits/versions/2/activate").status_code == 200
        assert store.current() == 2
        assert client.post("/v1/models/digits/rollback").status_code == 200
        assert store.current() == 1


def test_a_broken_version_in_the_bucket_is_refused(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    server.objects[f"{KEY}/2/model.onnx"] = b"another model"
    with started(settings) as service:
        server.objects[f"{KEY}/current"] = b"2\n"
        swap = wait_for(lambda: status(service)["last_swap"], service)
        assert (swap["version"], swap["result"]) == ("2", "failed_verify")
        assert swap["reason"].startswith("2/model.onnx is not the file that its card describes")
        assert label(service) == "7"
        assert bucket(service)["reachable"] is True


@pytest.mark.slow
def test_workers_share_the_cache(
    server: ObjectServer, store: Store, settings: dict[str, Any]
) -> None:
    with started(settings, workers=2):
        copies = [each for each in server.received if each.key == f"{KEY}/1/model.onnx"]
        assert sum(each.method == "GET" for each in copies) == 1


def test_a_url_with_credentials_is_refused_and_not_shown(settings: dict[str, Any]) -> None:
    service = Service("s3://key:secret@bucket/models", **settings)
    assert service.exit_code() == 2
    assert "DIGITSERVE_MODELS=...: a model store is a folder, s3://bucket/prefix" in service.log
    assert "secret" not in service.log
