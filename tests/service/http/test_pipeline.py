"""Each connection is served one request at a time, however much it sends and reads."""

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.metrics import counted
from tests.support.pictures import SEVEN
from tests.support.problems import problem
from tests.support.running import Service, wait_until

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def logged(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service that logs each request when it is complete."""
    with Service.started(published[0].folder.parent, access_log="all") as service:
        yield service


@contextmanager
def suspended(service: Service) -> Iterator[None]:
    """Everything sent within the block is available at once when the service resumes."""
    service.send(signal.SIGSTOP)
    yield
    service.send(signal.SIGCONT)


@pytest.mark.parametrize(
    "pipelined",
    [SCRAPE, PROBE, request(b"\x89PNG\r\n\x1a\n no picture"), request(b"{", path="/v1/%70redict")],
    ids=["scrapes", "probes", "images that fail", "ASGI"],
)
def test_other_connections_are_served_between_pipelined_requests(
    logged: Service, pipelined: bytes
) -> None:
    """Only a few of 300 requests in one read are answered before that of another connection."""
    with connected(logged) as greedy, connected(logged) as other:
        for connection in (greedy, other):  # both have been accepted
            connection.send(PROBE)
            connection.answer()
        with suspended(logged):
            greedy.send(pipelined * 300)
            other.send(PROBE.replace(b"Host", b"X-Request-ID: other\r\nHost"))
        assert other.answer()[0] == 200
        for _ in range(300):
            greedy.answer()
    wait_until(lambda: len(lines_since(logged, "other")) >= 290, logged)
    other_line = next(e for e in logged.events[::-1] if e.get("request_id") == "other")
    assert other_line["event"] == "GET /livez 200"


def test_a_new_connection_is_served_before_most_pipelined_requests(logged: Service) -> None:
    """200 connections follow; few of 300 requests pipelined by 30 others are answered before it."""
    with ExitStack() as stack:
        greedy = [stack.enter_context(connected(logged)) for _ in range(30)]
        for connection in greedy:
            connection.send(PROBE)
            connection.answer()
        with suspended(logged):
            for connection in greedy:
                connection.send(PROBE * 10)
            new = [stack.enter_context(connected(logged)) for _ in range(200)]
            new[99].send(PROBE.replace(b"Host", b"X-Request-ID: new\r\nHost"))
        assert new[99].answer()[0] == 200
        for connection in greedy:
            for _ in range(10):
                connection.answer()
    wait_until(lambda: len(lines_since(logged, "new")) >= 150, logged)


def lines_since(service: Service, request_id: str) -> list[object]:
    """Ids in the access log after the last line of that request."""
    names = [event.get("request_id") for event in service.events]
    if request_id not in names:  # not written yet
        return []
    return names[len(names) - names[::-1].index(request_id) :]


def test_300_predictions_in_one_read_are_answered_in_order(service: Service) -> None:
    with connected(service) as connection:
        for number in range(300):
            connection.send(request(SEVEN, f"X-Request-ID: r{number}"))
        answers = [connection.answer() for _ in range(300)]
    assert [status for status, _, _ in answers] == [200] * 300
    assert [headers["x-request-id"] for _, headers, _ in answers] == [f"r{n}" for n in range(300)]


BODY = b"\r\n\r\n" * 40 + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKS = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:90], BODY[90:]))
CHUNKED = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
MIXED = b"".join(
    [PROBE, b"\r\n", request(BODY), CHUNKED, b"0\r\n\r\n", SCRAPE, CHUNKED, b"0\r\na: b\r\n\r\n"]
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1000, len(MIXED)])
def test_the_segmentation_of_the_stream_does_not_move_request_boundaries(
    service: Service, size: int
) -> None:
    with connected(service) as connection:
        for at in range(0, len(MIXED), size):
            connection.send(MIXED[at : at + size])
        connection.send(PROBE)
        statuses = [connection.answer()[0] for _ in range(6)]
    assert statuses == [200, 422, 422, 200, 422, 200]


@contextmanager
def client_that_does_not_read(service: Service) -> Iterator[socket.socket]:
    """A client that reads nothing and has a small receive buffer."""
    url = httpx2.URL(service.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((url.host, url.port))
        client.settimeout(10)
        yield client


@pytest.fixture(scope="module")
def impatient(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service with a short timeout and the smallest memory for requests."""
    with Service.started(
        published[0].folder.parent, request_timeout=0.5, max_buffered=2**20, max_body=2**19
    ) as service:
        yield service


def test_a_client_that_does_not_read_is_disconnected_and_its_requests_dropped(
    impatient: Service,
) -> None:
    before = counted(impatient, 'http_requests_total{code="200"')
    with client_that_does_not_read(impatient) as client:
        client.sendall(LARGE * 300)
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):  # noqa: PT012
            while True:  # until the kernel has noticed
                client.sendall(b"\r\n")
    assert counted(impatient, 'http_requests_total{code="200"') - before < 150


# ---- memory -----------------------------------------------------------------------------------


def test_incomplete_heads_share_the_memory_for_requests(impatient: Service) -> None:
    """Of 1 MiB: the last clients are rejected at once, with a time for a retry."""
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 3000
    shed = counted(impatient, 'shed_total{reason="buffer_full"}')
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(impatient)) for _ in range(100)]
        for client in clients:
            client.send(head)
        answers = [client.answer() for client in clients]
        assert all(client.closed() for client in clients)
    # The others time out with 408, half a second later.
    assert {status for status, _, _ in answers} == {408, 503}
    refused = [headers for status, headers, _ in answers if status == 503]
    assert all(headers["retry-after"] == "1" for headers in refused)
    assert counted(impatient, 'shed_total{reason="buffer_full"}') >= shed + len(refused)


def test_waiting_requests_share_the_memory_for_requests(impatient: Service) -> None:
    """Behind a response that is not read: such connections are closed."""
    shed = counted(impatient, 'shed_total{reason="buffer_full"}')
    with ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(client_that_does_not_read(impatient))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.send(LARGE * 5000)
        wait_until(lambda: counted(impatient, 'shed_total{reason="buffer_full"}') > shed, impatient)
    wait_until(lambda: predicted(impatient), impatient)  # and the memory is free again


def predicted(service: Service) -> bool:
    response = fetch.post(f"{service.url}/v1/predict", content=SEVEN + bytes(300_000))
    return response.status_code == 200


def test_the_error_about_insufficient_memory_names_the_setting(impatient: Service) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(connected(impatient))
            client.send(request(bytes(400_000))[:-1])
        wait_until(lambda: counted(impatient, "inflight_requests") >= 2, impatient)
        response = fetch.post(f"{impatient.url}/v1/predict", content=SEVEN + bytes(450_000))
    assert "DIGITSERVE_MAX_BUFFERED" in problem(response, 503)["detail"]
    assert re.search(r"try again in 1 s", problem(response, 503)["detail"])
