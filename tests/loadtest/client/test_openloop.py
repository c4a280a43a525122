"""Requests are sent on schedule and timed from then on, whatever the server does."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from loadtest.client.openloop.generator import generate
from loadtest.client.openloop.processes import LoadSpec, poisson, run_processes
from loadtest.client.openloop.result import Outcomes
from loadtest.client.requests import ExpectedRequest, answered_right, predict_request
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from loadtest.host.processes import ROOT
from tests.loadtest.tiny import reply, tiny

SEVEN = ExpectedRequest(predict_request(b"a seven"), b'"label":"7"')
RIGHT, WRONG = reply(body=b'{"label":"7"}'), reply(body=b'{"label":"1"}')
STALL = 0.5  # seconds


def outcomes(
    answer: Callable[[int], bytes], *, rate: float = 200, seconds: float = 0.5, **more: float
) -> Outcomes:
    with tiny(answer) as server:
        return generate(server.address, [SEVEN], poisson(rate, seconds, [1]), **more)  # type: ignore[arg-type]


def test_arrivals_are_a_poisson_process() -> None:
    times = poisson(1000, 200, [1])
    counts = np.histogram(times, bins=200, range=(0, 200))[0]
    assert counts.mean() == pytest.approx(1000, rel=0.01)
    assert counts.var() == pytest.approx(1000, rel=0.3)  # equals the mean for Poisson
    gaps = np.diff(times)
    assert gaps.min() >= 0
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)  # equal for exponential
    assert np.corrcoef(gaps[1:], gaps[:-1])[0, 1] == pytest.approx(0, abs=0.01)


def test_arrivals_depend_only_on_the_seed() -> None:
    assert np.array_equal(poisson(100, 2, [1, 2]), poisson(100, 2, [1, 2]))
    assert not np.array_equal(poisson(100, 2, [1, 2])[:5], poisson(100, 2, [1, 3])[:5])
    assert len(poisson(0.001, 1, [1])) == 0


def test_every_request_is_sent_and_its_answer_timed_and_checked() -> None:
    done = outcomes(lambda _: RIGHT, ready=2)
    assert done.requests == pytest.approx(100, abs=40)
    assert (done.errors, done.unanswered, done.refused, done.wrong) == (0, 0, 0, 0)
    assert np.all(done.intended <= done.taken)
    assert np.all(done.taken <= done.sent)
    assert np.all(done.sent < done.ended)
    assert len(done.latencies) == done.requests
    assert 0 < done.cpu[0] < 1
    assert done.late > 0


@pytest.mark.parametrize("connections", [1024, 2])
def test_a_stall_counts_for_all_requests_during_it(connections: int) -> None:
    def stalls_once(number: int) -> bytes:
        if number == 30:
            time.sleep(STALL)  # the only thread of the server: no request is answered meanwhile
        return RIGHT

    # During the stall there are fewer new connections than the backlog of 100 of asyncio's server.
    done = outcomes(stalls_once, rate=120, seconds=1.2, connections=connections)
    assert done.errors == 0
    # The request that waited longest came as the stall began, give or take a tenth of it.
    begin = done.intended[np.argmax(done.ended - done.intended)]
    end = begin + 0.9 * STALL
    during = (done.intended > begin) & (done.intended < end)
    assert during.sum() > 0.6 * 120 * STALL  # a closed loop would have sent two
    assert np.all(done.ended[during] >= end)
    assert np.median((done.taken - done.intended)[during]) < STALL / 5  # sending was not delayed
    assert (done.latencies > STALL / 3).sum() > during.sum() / 2
    after = done.intended > done.ended[during].max() + 0.05
    assert np.median((done.ended - done.intended)[after]) < STALL / 3


def test_refused_wrong_and_broken_answers_are_errors_and_do_not_stop_it() -> None:
    answers = [RIGHT, reply(503, b"{}"), WRONG, b"", RIGHT]
    done = outcomes(lambda number: answers[number % 5])
    fifth = done.requests / 5
    for count in (done.refused, done.wrong, done.unanswered):
        assert count == pytest.approx(fifth, abs=1)
    assert done.errors == pytest.approx(0.6, abs=0.02)
    assert done.broken.total() == done.unanswered
    assert np.isinf(done.latencies).sum() == done.unanswered
    assert len(done.latencies) == done.requests - done.refused  # a fast rejection does not count


def test_a_server_that_closes_after_its_answer_causes_no_error() -> None:
    done = outcomes(lambda _: reply(body=b'{"label":"7"}', Connection="close"), connections=2)
    assert (done.errors, done.broken.total()) == (0, 0)


def test_an_idle_connection_closed_by_the_server_is_not_a_failure() -> None:
    def hang_up_at_once(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(1 << 16)
        connection.sendall(RIGHT)
        connection.close()

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ThreadPoolExecutor() as pool,
    ):
        closing = pool.submit(hang_up_at_once, server)
        done = generate(
            Address(*server.getsockname()), [SEVEN], np.array([0.3]), ready=1, patience=0.1
        )
        closing.result()
    # A request on the closed connection would have failed; on a new one it only waits.
    assert (done.unanswered, done.broken.total()) == (1, 0)


def test_a_missing_answer_is_an_error_with_infinite_latency() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, but never answers
        address = Address(*silent.getsockname())
        done = generate(address, [SEVEN], poisson(100, 0.2, [1]), patience=0.1)
    assert done.unanswered == done.requests > 0
    assert done.errors == 1
    assert np.all(np.isinf(done.latencies))


def test_without_a_server_every_request_fails_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = Address(*gone.getsockname())
    done = generate(address, [SEVEN], poisson(200, 0.2, [1]), connections=2, ready=2, patience=30)
    assert done.unanswered == done.requests == done.broken.total()


def test_invalid_http_is_a_broken_connection() -> None:
    done = outcomes(lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert done.broken == {"an answer without Content-Length": done.requests}


def test_large_requests_and_answers_are_transferred_completely() -> None:
    request = ExpectedRequest(predict_request(bytes(4 << 20)), b'"label":"7"')
    large = reply(body=bytes(1 << 20) + b'"label":"7"')
    with tiny(lambda _: large) as server:
        done = generate(server.address, [request], poisson(10, 0.5, [1]), patience=30)
    assert done.errors == 0
    assert {len(body) for body in server.bodies} == {4 << 20}


def test_the_first_seconds_can_be_excluded() -> None:
    done = outcomes(lambda number: RIGHT if number else WRONG)
    assert done.wrong == 1
    counted = done.since(done.intended[1])
    assert (counted.requests, counted.wrong) == (done.requests - 1, 0)


@pytest.mark.parametrize("cores", [[0], [0, 0]])
def test_the_load_starts_when_all_connections_are_ready(cores: list[int]) -> None:
    answered: list[int] = []
    with tiny(lambda _: RIGHT) as server:
        spec = LoadSpec(server.address, [SEVEN], 300, 0.2, (1,), ready=5)
        done = run_processes(spec, cores, lambda: answered.append(len(server.bodies)))
        assert answered == [5 * len(cores)]
        assert len(server.bodies) == done.requests + 5 * len(cores)


def test_several_generators_share_the_rate_and_are_reported_together() -> None:
    with tiny(lambda _: RIGHT) as server:
        done = run_processes(LoadSpec(server.address, [SEVEN], 300, 0.5, (1,)), [0, 0])
        assert len(server.bodies) == done.requests == pytest.approx(150, abs=50)
    assert done.errors == 0
    assert len(done.cpu) == 2
    halves = np.flatnonzero(np.diff(done.intended) < 0)  # start of the second one
    assert len(halves) == 1
    assert halves[0] == pytest.approx(done.requests / 2, abs=35)


def test_images_that_are_misread_without_load_are_excluded() -> None:
    requests = [SEVEN, ExpectedRequest(predict_request(b"another"), b'"label":"2"')]
    with tiny(lambda _: RIGHT) as server:
        assert answered_right(server.address, requests) == [SEVEN]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(WRONG, "reads none of 1"), (reply(401, b"who?"), "with 401: who"), (b"", "does not answer")],
)
def test_a_server_that_cannot_be_measured_is_rejected_with_the_reason(
    answer: bytes, why: str
) -> None:
    with tiny(lambda _: answer) as server, pytest.raises(CannotMeasure, match=why):
        answered_right(server.address, [SEVEN])


@pytest.mark.parametrize(
    ("connections", "limit"), [(10, "128"), (300, "364"), (500, "may have 512")]
)
def test_the_limit_of_open_files_is_raised_as_far_as_allowed(connections: int, limit: str) -> None:
    code = (
        "import resource\n"
        "from loadtest.client.openloop.generator import allow_connections\n"
        f"allow_connections({connections})\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    limited = 'ulimit -Sn 128; ulimit -Hn 512; exec "$0" -c "$1"'
    done = subprocess.run(
        ["/bin/sh", "-c", limited, sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert limit in (done.stdout or done.stderr).splitlines()[-1]
