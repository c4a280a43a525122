"""deploy/haproxy in front of replicas: what it repeats, what it refuses, what a failure loses."""

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx2
import pytest

from contract.store import Store
from loadtest.client.openloop.generator import generate
from loadtest.client.openloop.processes import poisson
from loadtest.client.openloop.result import Outcomes
from loadtest.client.requests import SampleImages, answered_right, requests_of
from loadtest.client.result import Address
from tests.interop.balancer import Balancer, NameServer, Replicas
from tests.interop.failing_replica import Received, failing_replicas
from tests.interop.proxy import free_port
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.running import ADMIN, ROOT, wait_until

PNG = {"Content-Type": "image/png"}
SMALL, LARGE = 0, 200_000  # bytes that are added to an image
TOO_LARGE = 300_000  # bytes, more than one buffer of the balancer holds
CONNECTIONS = 64  # of the clients, at most
LOCAL = "127.0.0.0/8"
FAILING = ("127.0.2.1", "127.0.2.2")
BODIES = pytest.mark.parametrize(
    ("more", "rate"), [(SMALL, 200), (LARGE, 40)], ids=["small", "200 kB"]
)


@pytest.fixture(scope="module")
def replicas(store: Store) -> Iterator[Replicas]:
    with Replicas.started(store, 2) as replicas:
        yield replicas


@pytest.fixture(scope="module")
def balancer(replicas: Replicas) -> Iterator[Balancer]:
    with replicas.behind() as balancer:
        yield balancer


@pytest.fixture(scope="module")
def failing() -> Iterator[tuple[Balancer, list[Received]]]:
    """A balancer in front of two replicas that fail every request, and what they receive."""
    names, port = NameServer(), free_port()
    names.addresses = FAILING
    settings = {"DIGITSERVE_BALANCER_TIMEOUT": "500ms", "DIGITSERVE_ADMIN_NETWORKS": LOCAL}
    with (
        failing_replicas(FAILING, port) as received,
        Balancer(names, port, **settings).while_ready() as balancer,
    ):
        wait_until(lambda: balancer.servers_up() == len(FAILING), balancer)
        yield balancer, received
    names.close()


def predict_during(
    event: Callable[[], object],
    address: Address,
    store: Store,
    *,
    rate: float,
    seconds: float,
    more: int = SMALL,
) -> Outcomes:
    """Outcomes of predictions at this rate; `event` is called after the first second.

    `more` bytes are added to each image; decoders ignore what follows the end of an image.
    """
    images = SampleImages.of_current(store.folder.parent, store.folder.name)
    images = replace(images, files=[file + bytes(more) for file in images.files])
    requests = answered_right(address, requests_of(images)[:32])
    timer = threading.Timer(1.0, event)
    try:
        return generate(
            address,
            requests,
            poisson(rate, seconds, [1]),
            connections=CONNECTIONS,
            patience=20,
            begin=timer.start,
        )
    finally:
        timer.join()


def lost(outcomes: Outcomes) -> tuple[int, int, int]:
    return outcomes.unanswered, outcomes.refused, outcomes.wrong


def break_off_uploads(address: Address) -> None:
    """Sends a quarter of a body a dozen times, and closes the connection."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: digits\r\nContent-Length: 20000\r\n\r\n"
    for _ in range(12):
        with socket.create_connection(address) as connection:
            connection.sendall(head + bytes(5_000))
            time.sleep(0.02)  # until the balancer has forwarded the beginning


def test_uploads_that_clients_break_off_are_no_failures_of_a_replica(balancer: Balancer) -> None:
    break_off_uploads(balancer.address)
    assert balancer.servers_up() == 2


@BODIES
def test_a_killed_replica_loses_no_prediction(store: Store, more: int, rate: float) -> None:
    with Replicas.started(store, 2) as replicas, replicas.behind() as balancer:
        first = next(iter(replicas.running.values()))
        outcomes = predict_during(
            first.process.kill, balancer.address, store, rate=rate, seconds=3, more=more
        )
        wait_until(lambda: balancer.servers_up() == 1, balancer)
    assert lost(outcomes) == (0, 0, 0)


@BODIES
def test_a_stopped_replica_loses_no_prediction(store: Store, more: int, rate: float) -> None:
    """It reports that it is not ready while it still answers, for DRAIN_SECONDS."""
    with Replicas.started(store, 2, drain_seconds=3) as replicas, replicas.behind() as balancer:
        first = next(iter(replicas.running.values()))
        outcomes = predict_during(
            lambda: first.send(signal.SIGTERM),
            balancer.address,
            store,
            rate=rate,
            seconds=5.5,
            more=more,
        )
        assert first.exit_code() == 0
        assert balancer.servers_up() == 1
    assert lost(outcomes) == (0, 0, 0)


@BODIES
def test_a_silent_replica_loses_no_prediction(store: Store, more: int, rate: float) -> None:
    """As one whose machine has lost its network: its requests are repeated after a timeout."""
    with (
        Replicas.started(store, 2) as replicas,
        replicas.behind(DIGITSERVE_BALANCER_TIMEOUT="1s") as balancer,
    ):
        first = next(iter(replicas.running.values()))
        outcomes = predict_during(
            lambda: first.send(signal.SIGSTOP),
            balancer.address,
            store,
            rate=rate,
            seconds=4,
            more=more,
        )
        assert balancer.servers_up() == 1
    assert lost(outcomes) == (0, 0, 0)


@BODIES
def test_a_reload_loses_no_prediction(
    replicas: Replicas, store: Store, more: int, rate: float
) -> None:
    with replicas.behind() as balancer:

        def reload() -> None:
            balancer.process.send_signal(signal.SIGUSR2)

        outcomes = predict_during(reload, balancer.address, store, rate=rate, seconds=3, more=more)
        assert "Reloading HAProxy" in balancer.log
    assert lost(outcomes) == (0, 0, 0)


def test_a_new_replica_gets_requests_without_a_reload(store: Store) -> None:
    with Replicas.started(store, 1) as replicas, replicas.behind() as balancer:
        second = replicas.add()
        wait_until(lambda: balancer.servers_up() == 2, balancer)
        with httpx2.Client(base_url=balancer.url) as client:
            ids = [client.get("/v1/status").headers["X-Request-ID"] for _ in range(10)]
        wait_until(lambda: any(each in second.log for each in ids), balancer)


def test_every_admin_route_and_the_metrics_are_refused(
    replicas: Replicas, balancer: Balancer
) -> None:
    """All that the OpenAPI document lists, even with the admin token."""
    replica = next(iter(replicas.running.values()))
    document = fetch.get(f"{replica.url}/openapi.json").json()
    admin = [
        (method, re.sub(r"{\w+}", "1", path))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security") == [{"AdminToken": []}]
    ]
    assert ("post", "/v1/models/1/rollback") in admin
    hidden = [*admin, ("get", "/metrics"), ("get", "/metrics/"), ("get", "/%6detrics"),
              ("post", "/v1/models/digits%2frollback")]  # fmt: skip
    for method, path in hidden:
        answer = fetch.request(method, f"{balancer.url}{path}", headers=ADMIN)
        assert (method, path, answer.status_code) == (method, path, 403)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "path", ["models/1%/rollback", "models/%zz/versions/1/activate", "%72etrain/%", "runs/1%4"]
)
def test_a_path_that_cannot_be_decoded_reaches_no_replica(balancer: Balancer, path: str) -> None:
    """A replica would leave such an escape as it is, and answer from the route."""
    request = f"POST /v1/{path} HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"
    with socket.create_connection((balancer.address.host, balancer.port), timeout=10) as client:
        client.sendall(request.encode())
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 "), answer


def test_every_other_route_is_published(balancer: Balancer) -> None:
    published = ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/v1/status", "/v1/models",
                 "/v1/samples/random", "/v2/health/ready")  # fmt: skip
    statuses = {path: fetch.get(f"{balancer.url}{path}").status_code for path in published}
    assert statuses == dict.fromkeys(published, 200)


def test_admin_routes_are_published_to_a_network(replicas: Replicas) -> None:
    activate = "/v1/models/digits/versions/1/activate"
    with replicas.behind(DIGITSERVE_ADMIN_NETWORKS=f"192.0.2.0/24 {LOCAL}") as balancer:
        assert fetch.post(f"{balancer.url}{activate}", headers=ADMIN).status_code == 200
    with replicas.behind(DIGITSERVE_ADMIN_NETWORKS="192.0.2.0/24") as balancer:
        assert fetch.post(f"{balancer.url}{activate}", headers=ADMIN).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/status"),
        ("POST", "/v1/predict"),
        ("POST", "/v1/models/digits/versions/2/predict"),
        ("POST", "/v2/models/digits/infer"),
        ("POST", "/v2/models/digits/versions/1/infer"),
    ],
)
def test_a_request_that_changes_nothing_is_repeated_with_the_same_id(
    failing: tuple[Balancer, list[Received]], method: str, path: str
) -> None:
    balancer, received = failing
    received.clear()
    answer = fetch.request(method, f"{balancer.url}{path}")
    assert answer.status_code == 502
    assert len(received) == 4
    assert {(each.method, each.path) for each in received} == {(method, path)}
    assert {each.request_id for each in received} == {answer.headers["X-Request-ID"]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/digits/rollback"),
        ("POST", "/v1/retrain"),
        ("POST", "/v1/feedback"),
        ("DELETE", "/v1/feedback?state=waiting"),
        ("POST", "/v2/repository/models/digits/load"),
        ("POST", "/v1/predict/unknown"),
    ],
)
def test_a_request_that_changes_something_is_sent_once(
    failing: tuple[Balancer, list[Received]], method: str, path: str
) -> None:
    balancer, received = failing
    received.clear()
    answer = fetch.request(method, f"{balancer.url}{path}")
    assert answer.status_code == 502
    assert "not repeated" in answer.json()["detail"]
    assert len(received) == 1


def test_a_body_that_fits_into_a_buffer_is_repeated_with_the_request(
    failing: tuple[Balancer, list[Received]],
) -> None:
    balancer, received = failing
    received.clear()
    assert fetch.post(f"{balancer.url}/v1/predict", content=bytes(LARGE)).status_code == 502
    assert [each.size for each in received] == [LARGE] * 4


def test_a_body_larger_than_a_buffer_is_sent_once(
    failing: tuple[Balancer, list[Received]],
) -> None:
    balancer, received = failing
    received.clear()
    answer = fetch.post(f"{balancer.url}/v1/predict", content=bytes(TOO_LARGE))
    assert answer.status_code == 502
    assert [each.size for each in received] == [TOO_LARGE]


def test_an_event_stream_may_be_silent_for_longer_than_a_response(
    failing: tuple[Balancer, list[Received]],
) -> None:
    balancer, _ = failing
    assert fetch.get(f"{balancer.url}/v1/live").text == "data: 1\n\ndata: 2\n\n"


def test_events_arrive_as_they_are_sent(balancer: Balancer) -> None:
    with fetch.stream("GET", f"{balancer.url}/v1/live") as answer:
        lines = answer.iter_lines()
        events = [line for line in (next(lines) for _ in range(6)) if line.startswith("data:")]
    assert len(events) >= 2


def test_without_a_replica_the_client_gets_a_problem_that_names_a_time_to_retry() -> None:
    names = NameServer()
    balancer = Balancer(names, free_port())
    try:
        wait_until(lambda: listens(balancer), balancer)
        answer = fetch.post(f"{balancer.url}/v1/predict", content=SEVEN, headers=PNG)
    finally:
        balancer.process.kill()
        balancer.exit_code()
        names.close()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def listens(balancer: Balancer) -> bool:
    try:
        return bool(balancer.metrics())
    except httpx2.ConnectError:
        return False


@pytest.mark.parametrize(
    ("given", "kept"), [("mine-1", True), ("a" * 129, False), ('"quoted"', False)]
)
def test_an_id_that_the_service_accepts_is_kept(balancer: Balancer, given: str, kept: bool) -> None:
    answer = fetch.get(f"{balancer.url}/v1/status", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) == kept


def test_ids_of_a_request_that_has_several_are_replaced(balancer: Balancer) -> None:
    ids = [("X-Request-ID", "mine"), ("X-Request-ID", '"quoted"')]
    answer = fetch.get(f"{balancer.url}/metrics", headers=ids)
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Request-ID"] not in ("mine", '"quoted"')


def test_the_service_logs_the_address_of_the_client(replicas: Replicas, balancer: Balancer) -> None:
    transport = httpx2.HTTPTransport(local_address="127.0.0.2", verify=False)
    with httpx2.Client(base_url=balancer.url, transport=transport) as client:
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        answer = client.post("/v1/predict", content=SEVEN, headers=PNG | forged)
    assert client_of(answer.headers["X-Request-ID"], replicas, balancer) == "127.0.0.2"


def test_only_failed_and_repeated_requests_are_logged(
    failing: tuple[Balancer, list[Received]],
) -> None:
    balancer, _ = failing
    answer = fetch.get(f'{balancer.url}/v1/"quoted"')
    request_id = answer.headers["X-Request-ID"]
    wait_until(lambda: request_id in balancer.log, balancer)
    (line,) = [line for line in balancer.log.splitlines() if request_id in line]
    event = json.loads(line)
    assert (event["path"], event["status"]) == ('/v1/"quoted"', 502)
    assert int(event["repeated"].lstrip("+")) == 3


def test_alerts_and_dashboards_use_only_metrics_that_haproxy_exposes(balancer: Balancer) -> None:
    files = ("prometheus/alerts.yml", "grafana/dashboards/service.json")
    text = "".join((ROOT / "deploy" / file).read_text() for file in files)
    used = set(re.findall(r"\bhaproxy_\w+", text))
    assert used
    assert used <= {name.partition("{")[0] for name in balancer.metrics()}


def test_addresses_that_a_trusted_proxy_reports_are_kept(replicas: Replicas) -> None:
    claimed = {"X-Forwarded-For": "203.0.113.9"}
    with replicas.behind(DIGITSERVE_BALANCER_TRUSTED_PROXIES=LOCAL) as balancer:
        answer = fetch.post(f"{balancer.url}/v1/predict", content=SEVEN, headers=PNG | claimed)
        assert client_of(answer.headers["X-Request-ID"], replicas, balancer) == "203.0.113.9"


def client_of(request_id: str, replicas: Replicas, balancer: Balancer) -> str:
    """The client in the access log of the replica that answered."""

    def clients() -> list[str]:
        events = [event for each in replicas.running.values() for event in each.events]
        return [each["client"] for each in events if each.get("request_id") == request_id]

    wait_until(clients, balancer)
    return clients()[0]
