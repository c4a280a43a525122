"""The fast path from socket to response gives the same answers as ASGI, for every client."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from tests.support import fetch
from tests.support.connection import connected, request, without_times
from tests.support.marks import slow
from tests.support.metrics import counted
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.running import Service, wait_to_read, wait_until


@pytest.mark.parametrize(
    ("way", "pieces"),
    [
        ("in two pieces", [request()[:-100], request()[-100:]]),
        ("a byte at a time", [request()[i : i + 1] for i in range(len(request()))]),
        ("with a query", [request(path="/v1/predict?ink=auto")]),
        (
            "in chunks",
            [
                b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"%x\r\n%b\r\n" % (len(SEVEN), SEVEN),
                b"0\r\n\r\n",
            ],
        ),
        ("in capitals", [request().replace(b"Content-Length", b"CONTENT-LENGTH")]),
    ],
    ids=lambda way: way if isinstance(way, str) else "",
)
def test_the_answer_does_not_depend_on_path_or_segmentation(
    service: Service, way: str, pieces: list[bytes]
) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, "X-Request-ID: mine"))
        status, headers, body = connection.answer()
        connection.send(
            *(piece.replace(b"Host: x", b"Host: x\r\nX-Request-ID: mine") for piece in pieces[:1])
        )
        for piece in pieces[1:]:
            connection.send(piece)
        assert status == 200
        other = connection.answer()
    expected = dict(without_times(headers))
    found = without_times(other[1])
    if way == "a byte at a time":  # the id was in the segment that is already read
        found["x-request-id"] = "mine"
    assert (other[0], found, other[2]) == (200, expected, body)


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: c\r\n\r\n"
    with connected(service) as connection:
        connection.send(
            b"".join(
                [
                    request(SEVEN, "X-Request-ID: a"),
                    request(SEVEN, "X-Request-ID: b"),
                    get,
                    request(b"nonsense", "X-Request-ID: d"),
                    request(SEVEN, "X-Request-ID: e"),
                ]
            )
        )
        answers = [connection.answer() for _ in range(5)]
    assert [headers["x-request-id"] for _, headers, _ in answers] == ["a", "b", "c", "d", "e"]
    assert [status for status, _, _ in answers] == [200, 200, 200, 422, 200]


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("", b""),
        ("Content-Length: 4\r\n", b"body"),
        ("Transfer-Encoding: chunked\r\n", b"4\r\nbody\r\n0\r\n\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", b""),
    ],
    ids=["plain", "with a body", "in chunks", "expects 100"],
)
def test_a_scrape_is_answered_however_it_arrives(service: Service, more: str, body: bytes) -> None:
    scrape = f"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Request-ID: b\r\n{more}\r\n".encode() + body
    with connected(service) as connection:
        connection.send(request(SEVEN, "X-Request-ID: a") + scrape + request(SEVEN))
        answers = [connection.answer() for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 200]
    _, headers, text = answers[1]
    assert headers["x-request-id"] == "b"
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"\ndigitserve_inflight_requests " in text


def test_an_error_leaves_the_connection_usable(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request(b"nonsense"))
        status, headers, body = connection.answer()
        assert status == 422
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-request-id"].encode() in body
        connection.send(request())
        assert connection.answer()[0] == 200


@pytest.mark.parametrize("line", ["Connection: close", "connection: Close"])
def test_the_connection_is_closed_if_the_client_asks_for_it(service: Service, line: str) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, line))
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert connection.closed()


def test_a_client_of_http_1_0_is_answered_and_the_connection_closed(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert connection.answer()[0] == 200
        assert connection.closed()


def test_a_client_that_expects_100_continue_gets_it(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, "Expect: 100-continue")[: -len(SEVEN)])
        assert connection.answer()[0] == 100
        connection.send(SEVEN)
        assert connection.answer()[0] == 200


def test_a_connection_ends_where_it_is_unclear_whether_a_body_follows(service: Service) -> None:
    """A proxy that does not send the expected body would send another client's request instead."""
    with connected(service) as connection:
        expecting = request(SEVEN, "Expect: 100-continue", path="/no/such/route")
        connection.send(expecting[: -len(SEVEN)])
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (404, "close")
        connection.send(SEVEN, request())  # it is no error to send the body nevertheless
        assert connection.closed()


def test_the_connection_goes_on_after_an_expected_body_that_was_sent(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request(SEVEN, "Expect: 100-continue", path="/no/such/route"))
        assert connection.answer()[0] == 404
        connection.send(request())
        assert connection.answer()[0] == 200


def test_a_client_that_still_sends_can_read_the_last_answer(service: Service) -> None:
    """A connection that is closed while data arrives is reset, and the answer may be lost."""
    body = bytes(1_000_000)
    with connected(service) as connection:
        connection.send(request(body, "Connection: close", path="/no/such/route")[: -len(body)])
        time.sleep(0.1)  # the service has answered
        for begin in range(0, len(body), 100_000):
            connection.send(body[begin : begin + 100_000])
        assert connection.answer()[0] == 404
        assert connection.socket.recv(1) == b""  # not reset


def test_the_error_about_other_methods_lists_the_allowed_one(service: Service) -> None:
    response = fetch.get(f"{service.url}/v1/predict")
    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, POST")


def test_garbage_after_a_request_closes_the_connection(service: Service) -> None:
    with connected(service) as connection:
        connection.send(request())
        assert connection.answer()[0] == 200
        connection.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert connection.answer()[0] == 400
        assert connection.closed()


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon", ""])
def test_an_invalid_timeout_is_rejected(service: Service, given: str) -> None:
    response = fetch.post(
        f"{service.url}/v1/predict", content=SEVEN, headers={"X-Request-Timeout": given}
    )
    assert response.status_code == 400
    assert "X-Request-Timeout" in response.json()["detail"]


@pytest.fixture(scope="module")
def patient(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service where a single image waits a second for a batch, and a body as long at most."""
    with Service.started(
        published[0].folder.parent, max_wait=1, request_timeout=2, access_log="all"
    ) as service:
        yield service


def test_a_request_times_out_at_the_deadline_of_its_client(patient: Service) -> None:
    own, shed = 'client_deadline_total{route="/v1/predict"}', 'shed_total{reason="deadline_passed"}'
    before = counted(patient, own), counted(patient, shed)
    began = time.monotonic()
    response = fetch.post(
        f"{patient.url}/v1/predict", content=SEVEN, headers={"X-Request-Timeout": "0.2"}
    )
    assert response.status_code == 504
    assert time.monotonic() - began > 0.15
    assert (counted(patient, own), counted(patient, shed)) == (before[0] + 1, before[1])


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"])
def test_an_image_whose_client_disconnected_is_not_computed_but_counted(
    patient: Service, path: str
) -> None:
    computed = counted(patient, "inference_seconds_count")
    gone = counted(patient, 'cancelled_total{stage="queue"}')
    with connected(patient) as connection:
        waiting = counted(patient, "queue_depth")
        connection.send(request(path=path))
        wait_until(lambda: counted(patient, "queue_depth") > waiting, patient)
    wait_until(lambda: counted(patient, 'cancelled_total{stage="queue"}') > gone, patient)
    time.sleep(1)  # by then it would have been computed
    assert counted(patient, "inference_seconds_count") == computed
    assert counted(patient, "inflight_requests") == 1  # the scrape itself


def test_a_body_that_does_not_arrive_times_out(patient: Service) -> None:
    with connected(patient) as connection:
        connection.send(request()[:-10])
        status, headers, body = connection.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert b"DIGITSERVE_REQUEST_TIMEOUT" in body
        assert connection.closed()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/predict", "/v1/%70redict", "/v1/models/digits/versions/1/predict",
        "/v2/models/digits/infer", "/v2/models/digits/versions/1/infer",
    ],
)  # fmt: skip
def test_a_client_that_disconnects_within_its_body_is_not_a_failure(
    patient: Service, path: str
) -> None:
    gone = 'http_requests_total{code="499",method="POST",route="'
    before, failed = counted(patient, gone), counted(patient, 'http_requests_total{code="500"')
    with connected(patient) as connection:
        connection.send(request(path=path)[:-10])
        time.sleep(0.1)
    wait_until(lambda: counted(patient, gone) > before, patient)
    assert counted(patient, 'http_requests_total{code="500"') == failed
    assert "without completing response" not in patient.log


def test_a_client_that_disconnects_within_its_body_is_counted(patient: Service) -> None:
    before = counted(patient, 'cancelled_total{stage="body"}')
    with connected(patient) as connection:
        connection.send(request()[:-10])
        time.sleep(0.1)
    wait_until(lambda: counted(patient, 'cancelled_total{stage="body"}') > before, patient)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("X-Request-Timeout: 0.2", 408),  # sooner than the 2 s of the service
        ("X-Request-Timeout: soon", 400),
        ("Content-Encoding: gzip", 415),
    ],
)
def test_headers_are_checked_before_the_body_arrives(
    patient: Service, path: str, line: str, status: int
) -> None:
    with connected(patient) as connection:
        connection.send(request(SEVEN, line, path=path)[:-10])
        answered, _, body = connection.answer()
        assert answered == status
        assert (b"within 0.2 s" in body) == (status == 408)


@pytest.mark.parametrize("path", ["/v1/predict", slow("/v1/%70redict")])
def test_every_outcome_is_counted_the_same_on_both_paths(patient: Service, path: str) -> None:
    def ended() -> dict[str, float]:
        names = {code: f'http_requests_total{{code="{code}"' for code in (200, 408, 422, 499)}
        found = {str(code): counted(patient, name) for code, name in names.items()}
        return found | {
            "seconds": counted(patient, "http_request_duration_seconds_count"),
            "in body": counted(patient, 'cancelled_total{stage="body"}'),
            "in queue": counted(patient, 'cancelled_total{stage="queue"}'),
        }

    before = ended()
    for body, count in ((SEVEN, 1), (b"nonsense", 1)):
        for _ in range(count):
            with connected(patient) as connection:
                connection.send(request(body, path=path))
                connection.answer()
    with connected(patient) as connection:
        connection.send(request(path=path)[:-10])
        assert connection.answer()[0] == 408
    with connected(patient) as connection:  # disconnects within its body
        connection.send(request(path=path)[:-10])
        wait_until(lambda: counted(patient, "inflight_requests") == 2, patient)
    with connected(patient) as connection:  # disconnects while in the queue
        connection.send(request(path=path))
        wait_until(lambda: counted(patient, "queue_depth") == 1, patient)
    wait_until(lambda: counted(patient, "inflight_requests") == 1, patient)
    more = {name: number - before[name] for name, number in ended().items()}
    scrapes = more.pop("seconds") - 5, more["200"] - 1
    assert scrapes[0] == scrapes[1] > 0  # the same for both: that of /metrics
    del more["200"]
    assert more == {"408": 1, "422": 1, "499": 2, "in body": 1, "in queue": 1}


@pytest.mark.slow
def test_a_large_image_times_out_at_its_deadline_and_frees_its_slot(
    published: tuple[Store, Version],
) -> None:
    """Decoding them all takes more than a second; those that timed out are not decoded."""
    large = encoded(np.kron(seven(), np.ones((19, 19), np.uint8)), "PNG")  # 3800 x 3800
    folder = published[0].folder.parent
    with Service.started(folder, request_timeout=1) as service:
        with ExitStack() as stack:
            connections = [stack.enter_context(connected(service)) for _ in range(120)]
            for connection in connections:
                connection.send(request(large))
            statuses = Counter(connection.answer()[0] for connection in connections)
        refused = statuses[503] + statuses[504]  # before its deadline would pass, or at it
        assert refused > 0
        assert refused + statuses[200] == 120
        response = fetch.post(f"{service.url}/v1/predict", content=large)
        assert response.status_code == 200
        reasons = ("deadline_unreachable", "deadline_passed")
        shed = [counted(service, f'shed_total{{reason="{reason}"}}') for reason in reasons]
        assert shed == [statuses[503], statuses[504]]
        assert counted(service, "client_deadline_total") == 0
        with ExitStack() as stack:
            connections = [stack.enter_context(connected(service)) for _ in range(30)]
            for connection in connections:
                connection.send(request(large))
            connections[0].answer()
        wait_until(lambda: counted(service, 'cancelled_total{stage="decode"}') > 0, service)
        assert "Traceback" not in service.log


def test_a_client_that_does_not_read_is_disconnected(service: Service) -> None:
    with connected(service) as connection:
        connection.socket.setblocking(False)
        before = counted(service, 'http_requests_total{code="200"')
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                connection.socket.send(request() * 20)
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:  # too many responses were pending: the connection was reset
                break
        assert counted(service, 'http_requests_total{code="200"') - before < 20_000


def test_the_access_log_has_a_line_for_a_prediction(patient: Service) -> None:
    answer = fetch.post(f"{patient.url}/v1/predict", content=SEVEN)
    request_id = answer.headers["X-Request-ID"]

    def lines() -> list[dict[str, Any]]:
        return [event for event in patient.events if event.get("request_id") == request_id]

    wait_until(lines, patient)
    (line,) = lines()
    assert (line["event"], line["status"]) == ("POST /v1/predict 200", 200)
    assert line["queue_seconds"] > 0.9  # for a fuller batch


def test_a_partly_received_body_is_awaited_at_shutdown(
    published: tuple[Store, Version],
) -> None:
    with Service.started(published[0].folder.parent, drain_seconds=0) as service:
        with connected(service) as connection:
            connection.send(request()[:-100])
            wait_until(lambda: counted(service, "inflight_requests") == 2, service)
            service.send(signal.SIGTERM)
            wait_to_read("not ready any more", service)
            time.sleep(0.5)  # until the port is closed and connections are closing
            connection.send(request()[-100:])
            assert connection.answer()[0] == 200
        assert service.exit_code() == 0
        assert "Traceback" not in service.log


def test_a_request_in_the_queue_is_answered_at_shutdown(
    published: tuple[Store, Version],
) -> None:
    with Service.started(published[0].folder.parent, max_wait=1, drain_seconds=0) as service:
        with connected(service) as connection:
            connection.send(request())
            wait_until(lambda: counted(service, "queue_depth") > 0, service)
            service.send(signal.SIGTERM)
            assert connection.answer()[0] == 200
        assert service.exit_code() == 0


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"])
def test_an_overload_response_has_a_retry_time_after_which_there_is_room(
    published: tuple[Store, Version], path: str
) -> None:
    folder = published[0].folder.parent
    with (
        Service.started(folder, max_wait=1, max_queue=1) as service,
        connected(service) as first,
        connected(service) as second,
    ):
        first.send(request())
        wait_until(lambda: counted(service, "queue_depth") > 0, service)
        second.send(request(path=path))
        status, headers, body = second.answer()
        assert (status, headers["retry-after"]) == (503, "1")
        assert b"1 images are already waiting" in body
        assert first.answer()[0] == 200
        second.send(request(path=path))
        assert second.answer()[0] == 200
        assert counted(service, 'shed_total{reason="queue_full"}') == 1
