"""A store that hangs, as on a dead file server, causes bounded delays and named errors."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from contract.errors import BrokenVersion
from contract.store import Store
from contract.version import Version
from service.models.store_reads import MOST_STUCK
from tests.support.connection import connected
from tests.support.marks import slow
from tests.support.metrics import counted, metric
from tests.support.pictures import SEVEN
from tests.support.running import ADMIN, TOKEN, Service, status, wait_until
from tests.support.versions import two_versions

ENDS_WITHIN = 20  # seconds; the kernel breaks a lease after 45


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return two_versions(published, tmp_path)


@contextmanager
def hanging(path: Path) -> Iterator[None]:
    """Opening the file blocks until the end of the context: this process holds a lease on it."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent when the lease must be released
    handle = os.open(path, os.O_RDWR)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                break
            except BlockingIOError:  # the service is reading the file
                assert time.monotonic() < deadline
                time.sleep(0.001)
        yield
    finally:
        os.close(handle)
        signal.signal(signal.SIGIO, before)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def card(store: Store, number: int) -> Path:
    return store.folder / str(number) / "card.json"


def stops_in_time(service: Service) -> bool:
    """Send SIGTERM; whether the service ends in time without an error."""
    service.send(signal.SIGTERM)
    return service.process.wait(ENDS_WITHIN) == 0


# ---- pipes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["current", "history.jsonl"])
def test_the_error_names_a_pipe_in_place_of_a_file(store: Store, name: str) -> None:
    store.activate(2)
    make_pipe(store.folder / name)
    with pytest.raises(Exception, match=f"{name} cannot be read: .*not a regular file"):
        store.current() if name == "current" else store.history()


def test_current_may_be_a_symbolic_link(store: Store) -> None:
    (store.folder / "current").rename(store.folder / "elsewhere")
    (store.folder / "current").symlink_to("elsewhere")
    assert store.current() == 1


def test_a_service_whose_store_has_pipes_answers_and_stops(store: Store) -> None:
    with Service.started(store.folder.parent, watch_seconds=0.05, drain_seconds=0) as service:
        make_pipe(card(store, 2))
        make_pipe(store.folder / "current")
        with service.client() as client:
            answer = client.get("/v1/models/digits/versions/2")
            assert answer.status_code == 409
            assert "2/card.json" in answer.json()["detail"]
            assert "not a regular file" in answer.json()["detail"]
            wait_until(lambda: (status(service)["last_swap"] or {}).get("reason"), service)
            assert "current cannot be read" in status(service)["last_swap"]["reason"]
        assert stops_in_time(service)


def test_a_version_with_a_pipe_is_not_opened(store: Store) -> None:
    make_pipe(card(store, 2))
    with pytest.raises(BrokenVersion, match="not a regular file"):
        store.open(2)


# ---- hanging reads --------------------------------------------------------------------------


def test_a_hanging_read_is_answered_503_until_the_store_responds_again(
    store: Store,
) -> None:
    settings = {"watch_seconds": 0, "store_timeout": 0.3, "drain_seconds": 0}
    with Service.started(store.folder.parent, **settings) as service, service.client() as client:

        def versions() -> httpx2.Response:
            return client.get("/v1/models/digits/versions/2")

        with hanging(card(store, 2)):
            for _ in range(MOST_STUCK):
                answer = versions()
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert answer.json()["detail"] == (
                    "the store of the model 'digits' did not answer within 0.3 s "
                    "(DIGITSERVE_STORE_TIMEOUT)"
                )
            for path in ("/v1/models", "/v1/models/digits", "/v1/samples/random"):
                answer = client.get(path)
                assert answer.status_code == 503
                assert "does not answer" in answer.json()["detail"]
            assert client.post("/v1/predict", content=SEVEN).status_code == 200
            assert status(service)["store"] == {
                "answers": False, "stuck_reads": MOST_STUCK, "bucket": None,
            }  # fmt: skip
            assert metric(service, "store_reads_stuck") == MOST_STUCK
        wait_until(lambda: status(service)["store"]["answers"], service)
        assert versions().status_code == 200
        assert metric(service, "store_reads_stuck") == 0
    reported = [event["event"] for event in service.events]
    first = next(each for each in reported if "the model store" in each)
    assert first.endswith("goes on serving")
    assert any("the model store answers again" in each for each in reported)


@pytest.mark.slow
def test_clients_that_disconnect_leave_nothing_in_flight(store: Store) -> None:
    settings = {"watch_seconds": 0, "store_timeout": 60, "drain_seconds": 0}
    with (
        Service.started(store.folder.parent, **settings) as service,
        hanging(card(store, 2)),
    ):
        with ExitStack() as stack:
            for _ in range(300):
                client = stack.enter_context(connected(service))
                client.send(b"GET /v1/models/digits/versions/2 HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: counted(service, 'http_requests_total{code="503"') > 200, service)
            assert metric(service, "inflight_requests") > 60
        wait_until(lambda: metric(service, "inflight_requests") == 1, service)  # the scrape itself
        assert counted(service, 'http_requests_total{code="499"') > 60
        assert counted(service, 'http_requests_total{code="500"') == 0
        assert stops_in_time(service)
    assert not [event for event in service.events if event["level"] == "error"]


@pytest.mark.parametrize("workers", [1, slow(2)])
def test_a_service_whose_store_hangs_stops_in_time(store: Store, workers: int) -> None:
    """Even while a version is loaded for a comparison and waits for the store."""
    settings = {"watch_seconds": 0.05, "drain_seconds": 0, "request_timeout": 1}
    models = store.folder.parent
    with (
        Service.started(models, workers=workers, admin_token=TOKEN, **settings) as service,
        hanging(card(store, 2)),
        hanging(store.folder / "current"),
        service.client() as client,
    ):
        compared = client.post("/v1/models/digits/versions/2/predict", content=SEVEN, headers=ADMIN)
        assert compared.status_code == 504
        assert stops_in_time(service)


def test_a_switch_is_rejected_while_the_store_hangs(store: Store) -> None:
    settings = {"watch_seconds": 0.05, "store_timeout": 0.3, "admin_token": TOKEN}
    with Service.started(store.folder.parent, **settings) as service, service.client() as client:

        def activate() -> int:
            answer = client.post("/v1/models/digits/versions/2/activate", headers=ADMIN)
            return int(answer.status_code)

        with hanging(store.folder / "current"):
            wait_until(lambda: not status(service)["store"]["answers"], service)
            assert activate() == 503
            wait_until(lambda: status(service)["last_swap"], service)
            assert "did not answer within" in status(service)["last_swap"]["reason"]
        wait_until(lambda: status(service)["store"]["answers"], service)
        assert activate() == 200


@pytest.mark.parametrize("workers", [1, slow(2)])
def test_a_start_with_a_hanging_store_fails_with_a_named_error(store: Store, workers: int) -> None:
    with hanging(store.folder / "current"):
        service = Service(store.folder.parent, store_timeout=0.3, workers=workers)
        assert service.process.wait(ENDS_WITHIN) == 2
    service.exit_code()
    (event,) = service.events
    assert event["event"].startswith(f"cannot start: the model store {store.folder} did not answer")
    assert "DIGITSERVE_STORE_TIMEOUT" in event["event"]
