"""Limits per client: connections, time to send and to read, heads, parts, memory."""

import json
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from service.problem_types import TYPES
from tests.support.connection import connected, request
from tests.support.forms import part, post_parts
from tests.support.memory import resident
from tests.support.metrics import counted
from tests.support.pictures import SEVEN, encoded
from tests.support.problems import problem
from tests.support.program import PATIENCE
from tests.support.running import Service, wait_until

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def strict(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service with short timeouts and small limits."""
    settings = {
        "request_timeout": 0.5, "max_header": 2048, "max_parts": 2, "max_buffered": 2**20,
        "max_connections": 20, "max_json_depth": 4, "keep_alive": 2,
    }  # fmt: skip
    with Service.started(published[0].folder.parent, **settings) as service:
        yield service


@pytest.fixture(scope="module")
def patient(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service with a small limit for heads, and a long timeout for them."""
    settings = {"request_timeout": PATIENCE, "max_header": 2048}
    with Service.started(published[0].folder.parent, **settings) as service:
        yield service


def reported(answer: tuple[int, dict[str, str], bytes], code: str) -> str:
    """The fields of a problem document with that code."""
    assert answer[1]["content-type"] == "application/problem+json"
    document = json.loads(answer[2])
    kind = TYPES[code]
    assert (answer[0], document["type"]) == (kind.status, kind.uri)
    detail: str = document["detail"]
    return detail


def typed(response: httpx2.Response, code: str) -> str:
    """The same for a response that was read by an HTTP client."""
    document = problem(response, TYPES[code].status)
    assert document["type"] == TYPES[code].uri
    detail: str = document["detail"]
    return detail


def test_the_number_of_parts_is_limited(strict: Service) -> None:
    response = post_parts(strict, part(SEVEN), part(SEVEN), part(SEVEN))
    assert "more than 2 parts (DIGITSERVE_MAX_PARTS)" in typed(response, "too-many-parts")


def test_the_depth_of_json_is_limited(strict: Service) -> None:
    with strict.client() as client:
        kind = {"Content-Type": "application/json"}
        response = client.post("/v1/predict", content=b'{"image": [[[[1]]]]}', headers=kind)
    assert "deeper than 4 levels" in typed(response, "json-too-deep")


# ---- heads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [["X-Long: " + "x" * 2000], [f"X-Many-{n}: 1" for n in range(200)], ["X: " + "x" * 300_000]],
    ids=["a long line", "many lines", "a very long line"],
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_head_that_is_too_large_is_431(strict: Service, lines: list[str], pieces: int) -> None:
    sent = request(SEVEN, *lines)
    step = len(sent) // pieces + 1
    with connected(strict) as connection:
        try:
            for at in range(0, len(sent), step):
                connection.send(sent[at : at + step])
                time.sleep(0.05)
        except OSError:  # it was rejected while we were sending
            pass
        answer = connection.answer()
        assert "larger than 2,048 bytes (DIGITSERVE_MAX_HEADER)" in reported(
            answer, "head-too-large"
        )
        assert answer[1]["connection"] == "close"


IN_CHUNKS = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = b"X-Long: " + b"x" * 2500
HEADS = {
    "one header": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + LARGE + b"\r\n\r\n",
    "one header's name": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"x" * 2500 + b": y\r\n\r\n",
    "white space": b"GET /livez HTTP/1.1\r\nHost: x\r\nX:" + b" " * 2500 + b"y\r\n\r\n",
    "many headers": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 450 + b"\r\n",
    "the URL": b"GET /livez?" + b"x" * 2500 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "empty lines before it": b"\r\n" * 1250 + GET,
    "chunk extensions": IN_CHUNKS + b"1;a=%b\r\nx\r\n0\r\n\r\n" % (b"b" * 2500),
    "many chunk extensions": IN_CHUNKS + (b"1;%b\r\nx\r\n" % (b"a" * 100)) * 25 + b"0\r\n\r\n",
    "headers behind a body": IN_CHUNKS + b"0\r\n" + LARGE + b"\r\n\r\n",
}
SPLITS: dict[str, Callable[[bytes], list[bytes]]] = {
    "at once": lambda sent: [sent],
    "in two segments": lambda sent: [sent[:-2], sent[-2:]],
    "in the middle": lambda sent: [sent[:1500], sent[1500:]],
    "in bytes": lambda sent: [sent[at : at + 1] for at in range(len(sent))],
    "behind a request and in two segments": lambda sent: [GET + sent[:-2], sent[-2:]],
    "behind a body and in two segments": lambda sent: [request() + sent[:-3], sent[-3:]],
}


@pytest.mark.parametrize(
    ("head", "split"),
    [
        pytest.param(
            HEADS[head],
            SPLITS[split],
            id=f"{head}, {split}",
            # Each head and each split is in `make test`, all combinations are in `make test-all`.
            marks=[] if at % len(SPLITS) == place else pytest.mark.slow,
        )
        for at, head in enumerate(HEADS)
        for place, split in enumerate(SPLITS)
    ],
)
def test_the_size_of_a_head_counts_however_it_is_split(
    patient: Service, head: bytes, split: Callable[[bytes], list[bytes]]
) -> None:
    with connected(patient) as connection:
        with suppress(OSError):  # it was rejected while we were sending
            for piece in split(head):
                connection.send(piece)
                time.sleep(0.002 if len(piece) > 1 else 0)
        answer = connection.answer()
        if answer[0] == 200:  # from the previous request
            answer = connection.answer()
        reported(answer, "head-too-large")
        assert answer[1]["connection"] == "close"
        assert connection.closed()


@pytest.mark.parametrize("beyond", [0, 1], ids=["as large as the limit", "a byte larger"])
@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "in two segments"])
def test_the_limit_of_a_head_is_exact(strict: Service, beyond: int, pieces: int) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n"
    head %= b"x" * (2048 + beyond - len(head) + 2)
    with connected(strict) as connection:
        connection.send(GET + head[: -1 if pieces > 1 else None])
        assert connection.answer()[0] == 200
        if pieces > 1:
            connection.send(head[-1:])
        assert connection.answer()[0] == (431 if beyond else 200)


def test_the_url_counts_towards_the_limit(strict: Service) -> None:
    with connected(strict) as connection:
        connection.send(request(path="/v1/predict?" + "a" * 3000))
        reported(connection.answer(), "head-too-large")


def test_a_large_body_does_not_count_towards_the_limit_of_heads(strict: Service) -> None:
    body = SEVEN + bytes(100_000)
    with connected(strict) as connection:
        for _ in range(3):
            connection.send(request(body))
            assert connection.answer()[0] == 200


CHUNKED = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


@pytest.mark.parametrize("path", [b"/v1/predict", b"/livez"], ids=["read", "answered before"])
@pytest.mark.parametrize("piece", [b"a: b\r\n" * 100, b"x" * 600], ids=["many", "one"])
def test_trailers_are_limited(strict: Service, path: bytes, piece: bytes) -> None:
    sent, begun = 0, time.monotonic()
    with connected(strict) as connection:
        connection.send(CHUNKED % path)
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):  # noqa: PT012
            while time.monotonic() - begun < 20:
                connection.send(piece)
                sent += len(piece)
                time.sleep(0.01)
    assert sent < 15_000  # of 30,000 in the time that a body may take


def test_trailers_are_ignored(strict: Service) -> None:
    with connected(strict) as connection:
        connection.send(
            CHUNKED % b"/v1/predict", b"X-Request-ID: mine\r\nContent-Encoding: x\r\n\r\n", GET
        )
        status, headers, _ = connection.answer()
        assert status == 422
        assert headers["x-request-id"] != "mine"
        assert connection.answer()[0] == 200


def test_a_head_in_pieces_within_the_limits_is_accepted(strict: Service) -> None:
    sent = request(SEVEN, "X-Long: " + "x" * 1500)
    with connected(strict) as connection:
        for at in range(0, 1600, 100):
            connection.send(sent[at : at + 100])
            time.sleep(0.005)
        connection.send(sent[1600:])
        assert connection.answer()[0] == 200


# ---- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("beginning", [b"", b"P", b"POST /v1/predict HTTP/1.1\r\nHost"])
def test_a_connection_without_a_complete_head_is_closed(strict: Service, beginning: bytes) -> None:
    with connected(strict) as connection:
        began = time.monotonic()
        connection.send(beginning)
        if beginning:
            assert "0.5 s (DIGITSERVE_REQUEST_TIMEOUT)" in reported(
                connection.answer(), "head-timeout"
            )
        assert connection.closed()
        assert 0.4 < time.monotonic() - began < 5


@pytest.mark.parametrize("piece", [b"x", b"\r\n"], ids=["letters", "empty lines"])
def test_a_slowly_trickling_head_times_out(strict: Service, piece: bytes) -> None:
    with connected(strict) as connection:
        connection.send(GET)  # a second request may trickle as well
        connection.answer()
        began = time.monotonic()
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):  # noqa: PT012
            while time.monotonic() - began < 20:
                connection.send(piece)
                time.sleep(0.1)
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_500_trickling_clients_do_not_stop_the_service(published: tuple[Store, Version]) -> None:
    with (
        Service.started(published[0].folder.parent, request_timeout=2) as service,
        ExitStack() as stack,
    ):
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        slow = [stack.enter_context(connected(service)) for _ in range(500)]
        for place, connection in enumerate(slow):  # half within the head, half within the body
            connection.send(head if place % 2 else head + b"\r\n")
        slowest = 0.0
        for _ in range(3):
            for connection in slow:
                connection.socket.send(b"x")
            for _ in range(20):
                began = time.monotonic()
                with connected(service) as other:
                    other.send(request())
                    assert other.answer()[0] == 200
                slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1
        for connection in slow:
            assert connection.answer()[0] == 408
            assert connection.closed()


def test_a_client_that_does_not_read_is_disconnected(strict: Service) -> None:
    url = httpx2.URL(strict.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((url.host, url.port))
        connection.settimeout(10)
        began = time.monotonic()
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):  # noqa: PT012
            while time.monotonic() - began < 20:
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert time.monotonic() - began < 10


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="queues are read in /proc")
def test_a_client_that_does_not_read_the_last_answer_is_disconnected(
    published: tuple[Store, Version],
) -> None:
    """With responses so short that the service keeps writing: they are buffered in its memory."""
    models = published[0].folder.parent
    # A separate service: connections of other tests would change the number of its open files.
    with Service.started(models, request_timeout=2) as service, ExitStack() as stack:
        url = httpx2.URL(service.url)
        before = open_files(service)
        connections = [stack.enter_context(socket.socket()) for _ in range(2)]
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect((url.host, url.port))
        wait_until(lambda: open_files(service) > before, service)
        for connection in connections:
            fill(connection)
        wait_until(lambda: open_files(service) <= before, service)


def fill(connection: socket.socket) -> None:
    """Send requests until the kernel buffers no more; the connection may be reset before."""
    queued = [-1, 0]
    with suppress(ConnectionError):
        while queued[-1] == 0 or queued[-1] > queued[-2]:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.01)
            queued.append(bytes_on_their_way_to(connection))


def open_files(service: Service) -> int:
    return len([*Path(f"/proc/{service.process.pid}/fd").iterdir()])


def bytes_on_their_way_to(connection: socket.socket) -> int:
    """Bytes buffered by the kernel of the service; 0 if there is no connection."""
    port = f":{connection.getsockname()[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, _, queues, *_ = line.split()
        if remote.endswith(port):
            return int(queues.partition(":")[0], 16)
    return 0


def test_a_client_that_reads_every_answer_is_not_disconnected(strict: Service) -> None:
    """Even with identical responses, of which the kernel always has an unacknowledged one."""
    began = time.monotonic()
    with connected(strict) as connection:
        while time.monotonic() - began < 2:  # four times the timeout of the service
            connection.send(request())
            assert connection.answer()[0] == 200
            time.sleep(0.02)


# ---- connections ------------------------------------------------------------------------------


def test_beyond_the_limit_a_connection_is_503_and_probes_are_answered(strict: Service) -> None:
    shed = counted(strict, 'shed_total{reason="connections"}')
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(strict)) for _ in range(20)]
        for connection in crowd:  # each repeats its requests, so that none is idle for long
            connection.send(GET)
            connection.answer()
        with connected(strict) as beyond:
            beyond.send(request())
            answer = beyond.answer()
            assert "more than 20 connections" in reported(answer, "too-many-connections")
            assert answer[1]["retry-after"] == "1"
            assert beyond.closed()
        with connected(strict) as probe:
            probe.send(GET)
            answer = probe.answer()
            assert (answer[0], answer[1]["connection"]) == (200, "close")
            assert probe.closed()  # so that these do not occupy the few connections
        assert counted(strict, 'shed_total{reason="connections"}') == shed + 1
        crowd[0].send(request())
        assert crowd[0].answer()[0] == 200
    wait_until(lambda: predicted(strict), strict)


def predicted(service: Service) -> bool:
    with connected(service) as connection:
        connection.send(request())
        return connection.answer()[0] == 200


def test_the_limit_of_open_files_is_reported_at_start(published: tuple[Store, Version]) -> None:
    refused = Service(published[0].folder.parent, max_connections=1_000_000)
    if refused.process.poll() is None and "ready on" in refused.log:
        pytest.fail("this machine allows a million files")
    assert refused.exit_code() == 2
    assert re.search(r"MAX_CONNECTIONS=1000000 needs 1000256 open files, the limit is", refused.log)


# ---- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [200_000, 700_000], ids=["fast path", "ASGI"])
def test_bodies_in_transfer_share_a_memory_limit(strict: Service, size: int) -> None:
    """Of 1 MiB: the last bodies exceed it, and their clients get an error at once."""
    answers: list[int] = []

    def send_slowly() -> None:
        with connected(strict) as connection:
            sent = request(SEVEN + bytes(size))
            connection.send(sent[:-1])
            time.sleep(0.2)
            connection.send(sent[-1:])
            answers.append(connection.answer()[0])

    threads = [threading.Thread(target=send_slowly) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {200, 503}
    assert predicted(strict)  # and the memory is free again


def most_resident(service: Service) -> int:
    """The largest resident memory in bytes over a second of work: it varies with each image."""
    most = 0
    for _ in range(100):
        most = max(most, resident(service))
        time.sleep(0.01)
    return most


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read in /proc")
def test_the_body_of_a_disconnected_client_is_freed(
    published: tuple[Store, Version],
) -> None:
    """While it waits to be decoded, behind images that take seconds in total."""
    slow = encoded(np.full((4000, 4000, 3), 255, np.uint8))  # 0.1 s each
    heavy = with_chunk(slow, b"juNk", bytes(9 * 2**20))
    with (
        Service.started(published[0].folder.parent, request_timeout=300) as service,
        ExitStack() as stack,
    ):
        for _ in range(40):
            stack.enter_context(connected(service)).send(request(slow))
        wait_until(lambda: counted(service, "inflight_requests") > 30, service)
        before = most_resident(service)
        for _ in range(20):
            with connected(service) as connection:
                connection.send(request(heavy))
                time.sleep(0.03)
        wait_until(lambda: counted(service, "cancelled_total") == 20, service)
        assert most_resident(service) - before < 100 * 2**20


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with an additional chunk after its header."""
    header = 33  # bytes
    check = zlib.crc32(kind + content)
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
    return png[:header] + chunk + png[header:]
