"""Several workers act as one service: one port, common metrics, one switch, one shutdown."""

import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support.connection import connected
from tests.support.metrics import metric, settle
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import (
    ADMIN,
    Service,
    status,
    two_workers,
    wait_for,
    wait_to_read,
    wait_until,
)
from tests.support.versions import two_versions

PNG = {"Content-Type": "image/png"}
NO_HTTP = 'http_requests_total{code="400",method="other",route="other"}'
PREDICTED = 'http_requests_total{code="200",method="POST",route="/v1/predict"}'


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return two_versions(published, tmp_path)


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with two_workers(store) as service:
        yield service


@pytest.fixture(scope="module")
def shared(
    published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service for tests that leave it unchanged."""
    with two_workers(two_versions(published, tmp_path_factory.mktemp("shared"))) as service:
        yield service


class Answer(NamedTuple):
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(service: Service, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Over a separate connection, so that any worker may answer."""
    url = httpx2.URL(service.url)
    connection = HTTPConnection(url.host, url.port, timeout=PATIENCE)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def predict(service: Service) -> Answer:
    return send(service, "/v1/predict", SEVEN, **PNG)


def workers(service: Service) -> dict[int, int]:
    """Worker -> process id, of those that serve."""
    rows = status(service)["workers"]
    return {row["worker"]: row["pid"] for row in rows if row["version"]}


def starting(service: Service, before: int) -> int | None:
    """The process that replaces `before` and does not serve yet."""
    rows = status(service)["workers"]
    pids = [row["pid"] for row in rows if row["version"] is None and row["pid"] != before]
    return pids[0] if pids else None


def client_of(worker: int, service: Service) -> httpx2.Client:
    """A client whose connection this worker has accepted."""

    def found() -> httpx2.Client | None:
        client = service.client()
        if client.get("/v1/status").json()["worker"] == worker:
            return client
        client.close()
        return None

    return wait_for(found, service)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


class Load:
    """Clients that post continuously, each request over a separate connection."""

    def __init__(self, service: Service, clients: int = 4) -> None:
        self._service = service
        self._enough = threading.Event()
        self.outcomes: list[int | str] = []
        self.clients = [threading.Thread(target=self._post) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self.clients:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self.clients:
            thread.join(PATIENCE)

    def _post(self) -> None:
        while not self._enough.is_set():
            try:
                self.outcomes.append(predict(self._service).status)
            except ConnectionRefusedError:
                return  # the connection was refused: never accepted
            except (OSError, HTTPException) as error:
                self.outcomes.append(repr(error))
            time.sleep(0.005)  # the service shares the machine with its clients


class Connecting:
    """Clients that connect for each request until the block ends, even if they are refused."""

    def __init__(self, service: Service, clients: int = 16) -> None:
        url = httpx2.URL(service.url)
        self._address = url.host, url.port or 80
        self._enough = threading.Event()
        self.outcomes = Counter[bytes]()
        self._clients = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._clients:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._clients:
            thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._enough.is_set():
            self.outcomes[self._outcome()] += 1

    def _outcome(self) -> bytes:
        try:
            connection = socket.create_connection(self._address, timeout=PATIENCE)
        except ConnectionRefusedError:
            time.sleep(0.005)
            return b"refused"
        with connection:
            try:
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return connection.recv(12) or b"closed"
            except OSError as error:
                return repr(error).encode()


# ---- one port, common metrics --------------------------------------------------------------------


def test_all_workers_share_one_port_and_each_reports_the_sums(shared: Service) -> None:
    names = (PREDICTED, 'predictions_total{label="7"}', "prediction_confidence_count")
    before = {name: metric(shared, name) for name in names}
    assert all(predict(shared).status == 200 for _ in range(40))
    settle(shared)
    answering, sums = set[int](), set[float]()
    for _ in range(20):
        with shared.client() as client:
            answering.add(client.get("/v1/status").json()["worker"])
            found = re.search(rf"{re.escape(PREDICTED)} (\S+)", client.get("/metrics").text)
            sums.add(float(found[1]) if found else 0)
    assert answering == {0, 1}
    assert sums == {before[PREDICTED] + 40}
    assert {name: metric(shared, name) - before[name] for name in names} == dict.fromkeys(names, 40)
    assert len(set(workers(shared).values())) == 2
    wait_until(lambda: metric(shared, "inflight_requests") == 1, shared)  # the scrape itself
    assert metric(shared, "workers") == 2
    for worker in ("0", "1", "supervisor"):
        assert metric(shared, f'process_resident_memory_bytes{{worker="{worker}"}}') > 20e6


@pytest.mark.slow
def test_invalid_http_is_counted_in_the_sums_of_the_other_worker(service: Service) -> None:
    with service.client() as client:  # whose connection stays with one worker
        client.get("/livez")
        for _ in range(20):
            with connected(service) as connection:
                connection.send(b"this is no HTTP\r\n\r\n")
                assert connection.answer()[0] == 400
        wait_until(lambda: f"{NO_HTTP} 20.0\n" in client.get("/metrics").text, service)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_only_its_requests_fail(service: Service) -> None:
    before, began = workers(service), time.monotonic()
    with Load(service) as load:
        wait_until(lambda: len(load.outcomes) > 50, service)
        counts = [metric(service, PREDICTED)]

        def replaced() -> bool:
            counts.append(metric(service, PREDICTED))
            return workers(service).get(0, before[0]) != before[0]

        os.kill(before[0], signal.SIGKILL)
        wait_until(replaced, service)
        assert counts == sorted(counts)
    outcomes = Counter(load.outcomes)
    rate = outcomes[200] / (time.monotonic() - began)
    failed = outcomes.total() - outcomes[200]
    assert failed <= 4, outcomes  # at most one per client, in flight on that worker
    settle(service)
    counted = metric(service, PREDICTED)
    # All except for what it counted since it last wrote its counters, up to a tenth of a second,
    # in which it may have answered three times as many as on the average.
    assert counted >= outcomes[200] - failed - 3 * 0.1 * rate
    assert all(predict(service).status == 200 for _ in range(20))
    settle(service)
    assert {metric(service, PREDICTED) for _ in range(6)} == {counted + 20}
    assert workers(service)[1] == before[1]
    assert metric(service, "worker_restarts_total") == 1
    wait_to_read(r"worker 0 ended \(killed by SIGKILL\)", service)


@pytest.mark.slow
def test_requests_in_flight_on_a_dead_worker_are_no_longer_counted(
    store: Store,
) -> None:
    with two_workers(store, request_timeout=PATIENCE) as service:  # a start may take some seconds
        url = httpx2.URL(service.url)
        head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
        connections = [socket.create_connection((url.host, url.port or 80)) for _ in range(20)]
        for connection in connections:
            connection.sendall(head.encode() + SEVEN[:100])
        wait_until(lambda: metric(service, "inflight_requests") == 21, service)
        os.kill(workers(service)[0], signal.SIGKILL)
        wait_until(lambda: metric(service, "workers") == 1, service)
        assert 1 < metric(service, "inflight_requests") < 21
        wait_until(lambda: len(workers(service)) == 2, service)
        assert 1 < metric(service, "inflight_requests") < 21
        answers = []
        for connection in connections:
            with connection:
                try:
                    connection.sendall(SEVEN[100:])
                    answers.append(connection.recv(12))
                except OSError:
                    answers.append(b"")
        assert set(answers) == {b"HTTP/1.1 200", b""}
        wait_until(lambda: metric(service, "inflight_requests") == 1, service)
        assert metric(service, "queue_depth") == 0


@pytest.mark.slow
@pytest.mark.parametrize(("sig", "lost"), [(signal.SIGTERM, 0), (signal.SIGKILL, 4)])
def test_connections_go_to_the_others_while_a_worker_cannot_restart(
    service: Service, store: Store, sig: signal.Signals, lost: int
) -> None:
    """A terminated worker finishes its requests; a killed one cannot."""
    model = store.folder / "1/model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    with Load(service) as load:
        os.kill(workers(service)[0], sig)
        wait_until(lambda: service.log.count("worker 0 ended") == 2, service)
        since = len(load.outcomes)
        wait_until(lambda: len(load.outcomes) > since + 100, service)
        model.write_bytes(content)
        wait_until(lambda: len(workers(service)) == 2, service)
    outcomes = Counter(load.outcomes)
    assert outcomes.total() - outcomes[200] <= lost, outcomes
    wait_to_read(re.escape(str(model)), service)


# ---- one switch ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_switch_is_answered_when_all_workers_serve_the_version(shared: Service) -> None:
    for path, version, label in (("versions/2/activate", "2", "h"), ("rollback", "1", "7")):
        answer = send(shared, f"/v1/models/digits/{path}", b"", **ADMIN)
        assert answer.status == 200
        assert (answer.json()["model"]["version"], answer.json()["behind"]) == (version, [])
        readings = [predict(shared).json() for _ in range(20)]
        assert {reading["model"]["version"] for reading in readings} == {version}
        assert {reading["predictions"][0]["label"] for reading in readings} == {label}
        rows = status(shared)["workers"]
        assert [row["version"] for row in rows] == [version, version]


@pytest.mark.slow
def test_the_response_names_a_worker_that_cannot_follow_a_switch(
    service: Service, store: Store
) -> None:
    """The version is damaged after one worker has loaded it and before the other does."""
    other = workers(service)[1]
    with closing(client_of(0, service)) as client, ThreadPoolExecutor(1) as thread:
        os.kill(other, signal.SIGSTOP)
        path = "/v1/models/digits/versions/2/activate"
        answer = thread.submit(client.post, path, headers=ADMIN)
        wait_to_read("version 2 serves in place of 1", service)
        (store.folder / "2/model.onnx").write_bytes(b"damaged")
        os.kill(other, signal.SIGCONT)
        assert answer.result(PATIENCE).json()["behind"] == [1]
    assert [row["version"] for row in status(service)["workers"]] == ["2", "1"]


@pytest.mark.slow
def test_a_replacement_serves_the_same_version_as_the_others(
    service: Service, store: Store
) -> None:
    """And not the current version of the store, which the workers do not watch."""
    store.activate(2)
    before = workers(service)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: workers(service).get(0, before[0]) != before[0], service)
    rows = status(service)["workers"]
    assert [row["version"] for row in rows] == ["1", "1"]


@pytest.mark.slow
def test_a_worker_that_starts_during_a_switch_serves_only_the_new_version(
    service: Service,
) -> None:
    """It was started with the old version; `activate` waits for it."""
    before = workers(service)[1]
    with closing(client_of(0, service)) as client, ThreadPoolExecutor(1) as thread:
        os.kill(before, signal.SIGKILL)
        starts = wait_for(lambda: starting(service, before), service)
        os.kill(starts, signal.SIGSTOP)
        answer = thread.submit(client.post, "/v1/models/digits/versions/2/activate", headers=ADMIN)
        wait_to_read("version 2 serves in place of 1", service)
        os.kill(starts, signal.SIGCONT)
        assert answer.result(PATIENCE).json()["behind"] == []
    versions = Counter[str]()
    with ThreadPoolExecutor(8) as clients:
        while workers(service).get(1) != starts or versions.total() < 300:
            answers = clients.map(lambda _: predict(service).json(), range(32))
            versions.update(answer["model"]["version"] for answer in answers)
    assert versions.keys() == {"2"}


# ---- one shutdown --------------------------------------------------------------------------------


@pytest.mark.slow
def test_sigterm_loses_no_request_of_any_worker(store: Store) -> None:
    with Service.started(store.folder.parent, workers=2, drain_seconds=0.5) as service:
        with Load(service) as load:
            wait_until(lambda: len(load.outcomes) > 50, service)
            service.send(signal.SIGTERM)
            wait_until(lambda: send(service, "/readyz").status == 503, service)
            for thread in load.clients:
                thread.join(PATIENCE)
        assert service.exit_code() == 0
    assert set(load.outcomes) == {200}


@pytest.mark.slow
def test_a_signal_to_all_processes_counts_once(service: Service) -> None:
    """Ctrl-C in a terminal, or a service manager, signals every process."""
    with service.client() as idle, service.client() as another:
        assert idle.get("/livez").status_code == another.get("/livez").status_code == 200
        url = httpx2.URL(service.url)
        with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE) as connection:
            head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
            connection.sendall(head.encode() + SEVEN[:100])
            wait_until(lambda: metric(service, "inflight_requests") == 2, service)
            pids = workers(service).values()
            for pid in (service.process.pid, *pids):
                for sig in (signal.SIGINT, signal.SIGTERM)[
                    : 1 if pid == service.process.pid else 2
                ]:
                    os.kill(pid, sig)
            wait_to_read("not ready any more", service)
            connection.sendall(SEVEN[100:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert service.exit_code() == 0
        assert time.monotonic() - began < 15  # idle connections do not delay it
    assert not any(map(alive, pids))
    assert "Traceback" not in service.log


@pytest.mark.slow
def test_a_second_signal_stops_all_workers_at_once(store: Store) -> None:
    with Service.started(store.folder.parent, workers=2, drain_seconds=30) as service:
        pids = workers(service).values()
        service.send(signal.SIGTERM)
        wait_until(lambda: all(send(service, "/readyz").status == 503 for _ in range(8)), service)
        assert send(service, "/livez").status == 200
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert not any(map(alive, pids))


@pytest.mark.slow
def test_workers_stop_when_their_supervisor_is_killed(store: Store) -> None:
    with Service.started(store.folder.parent, workers=2, drain_seconds=30) as service:
        pids = workers(service).values()
        service.send(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)), service)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_loses_no_request_while_clients_keep_connecting(
    store: Store, sig: signal.Signals, count: int
) -> None:
    with (
        Service.started(store.folder.parent, workers=count, drain_seconds=0.2) as service,
        Connecting(service) as clients,
    ):
        wait_until(lambda: clients.outcomes[b"HTTP/1.1 200"] > 300, service)
        service.send(sig)
        assert service.exit_code() == 0
    assert clients.outcomes.keys() == {b"HTTP/1.1 200", b"refused"}


@pytest.mark.slow
def test_workers_of_a_killed_supervisor_stop_while_clients_keep_connecting(
    store: Store,
) -> None:
    with (
        Service.started(store.folder.parent, workers=3) as service,
        Connecting(service) as clients,
    ):
        pids = workers(service).values()
        wait_until(lambda: clients.outcomes[b"HTTP/1.1 200"] > 300, service)
        service.send(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)), service)
    assert clients.outcomes.keys() == {b"HTTP/1.1 200", b"refused"}


@pytest.mark.slow
@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_second_signal_answers_open_requests_with_503_and_stops(store: Store, count: int) -> None:
    """One with an incomplete body of known length, and one with an incomplete chunked body."""
    heads = (
        f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEVEN)}\r\n\r\nsome",
        "POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
    )
    settings = {"workers": count, "drain_seconds": 0, "request_timeout": 2 * PATIENCE}
    with Service.started(store.folder.parent, **settings) as service, ExitStack() as stack:
        connections = [stack.enter_context(connected(service)) for _ in heads]
        for connection, head in zip(connections, heads, strict=True):
            connection.send(head.encode())
        wait_until(lambda: metric(service, "inflight_requests") == 3, service)
        service.send(signal.SIGTERM)
        wait_to_read("not ready any more", service)
        service.send(signal.SIGTERM)
        for connection in connections:
            status, headers, body = connection.answer()
            assert (status, json.loads(body)["type"]) == (503, "/problems/stopping")
            assert headers["connection"] == "close"
        assert service.exit_code() == 0
    assert "Traceback" not in service.log


@pytest.mark.slow
def test_a_suspended_worker_does_not_block_the_stop(store: Store) -> None:
    settings = {"workers": 2, "drain_seconds": 0, "request_timeout": 1}
    with Service.started(store.folder.parent, **settings) as service:
        suspended = workers(service)[0]
        os.kill(suspended, signal.SIGSTOP)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert not alive(suspended)
        assert "workers that have not ended are killed" in service.log


# ---- failed starts -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_damaged_version_fails_the_start_with_one_message(store: Store) -> None:
    model = store.folder / "1/model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    service = Service(store.folder.parent, workers=2)
    assert service.exit_code() == 2
    assert service.url == ""
    assert service.log.count(str(model)) == 1
    assert "Traceback" not in service.log


@pytest.mark.slow
@pytest.mark.parametrize("others", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_second_service_on_the_port_is_rejected(
    shared: Service, store: Store, others: int
) -> None:
    port = httpx2.URL(shared.url).port
    second = Service(store.folder.parent, workers=others, port=port)
    assert second.exit_code() == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in second.log
    assert "worker 0" not in second.log
