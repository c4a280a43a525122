"""The output of wrk is parsed, and it gets the requests unchanged."""

from pathlib import Path

import pytest

from loadtest.client import wrk
from loadtest.client.requests import predict_request
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from tests.loadtest.tiny import reply, tiny

SAID = """\
Running 5s test @ http://127.0.0.1:8000
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  300.00us   9.00ms   90.00%

{"microseconds":5000000,"answers":1000,"refused":10,"broken":2,"p50":1200,"p99":3400,"slowest":9000}
"""


def test_the_output_of_wrk_is_converted_to_seconds() -> None:
    load = wrk.parse(SAID, connections=64, client_cpu=1.5)
    assert (load.answers, load.refused, load.good, load.broken) == (1000, 10, 990, 2)
    assert (load.seconds, load.rate) == (5.0, 200.0)
    assert (load.p50, load.p99, load.slowest) == (0.0012, 0.0034, 0.009)
    assert (load.connections, load.client_cpu) == (64, 1.5)


def test_wrk_gets_every_request_in_a_file_and_runs_whole_seconds(tmp_path: Path) -> None:
    requests = [predict_request(b"one"), predict_request(b"two")]
    words = wrk.command(
        Address("::1", 9), requests, tmp_path, connections=3, seconds=1.2, threads=2
    )
    paths = words[words.index("--") + 1 :]
    assert [Path(path).read_bytes() for path in paths] == requests
    assert {"-t2", "-c3", "-d2s"} <= set(words)


needs_wrk = pytest.mark.skipif(not wrk.path_of_wrk(), reason="wrk is not installed")


@needs_wrk
def test_wrk_posts_the_requests_in_turn_and_counts_refused_ones_separately() -> None:
    requests = [predict_request(b"one"), predict_request(b"two")]
    with tiny(lambda number: reply(503 if number % 2 else 200)) as server:
        load = wrk.run_load(server.address, requests, connections=1, seconds=1)
    # wrk sends the first one only to test its script.
    assert set(server.bodies) == {b"one", b"two"}
    assert all(one != two for one, two in zip(server.bodies, server.bodies[1:], strict=False))
    assert abs(load.refused - load.good) <= 1
    assert load.broken == 0
    assert load.client_cpu > 0


@needs_wrk
def test_the_error_of_wrk_is_reported() -> None:
    with pytest.raises(CannotMeasure, match=r"wrk .* ended with"):
        wrk.run_load(Address("127.0.0.1", 1), [], connections=0, seconds=1)
