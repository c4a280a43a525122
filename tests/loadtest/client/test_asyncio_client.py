"""The built-in client sends requests in turn and counts the answers."""

import pytest

from loadtest.client import asyncio_client as client
from loadtest.client.requests import predict_request
from tests.loadtest.tiny import reply, tiny

REQUESTS = [predict_request(b"one"), predict_request(b"two"), predict_request(b"three")]


def test_requests_are_sent_in_turn_and_every_answer_is_counted() -> None:
    with tiny(lambda number: reply()) as server:
        load = client.run_load(server.address, REQUESTS, connections=1, seconds=0.5)
    assert load.answers == len(server.bodies) > 3
    assert server.bodies[:4] == [b"one", b"two", b"three", b"one"]
    assert (load.refused, load.broken, load.connections) == (0, 0, 1)
    assert 0 < load.p50 <= load.p99 <= load.slowest <= load.seconds
    assert load.client_cpu > 0


def test_refused_requests_are_counted_separately() -> None:
    with tiny(lambda number: reply(503 if number % 2 else 200)) as server:
        load = client.run_load(server.address, REQUESTS, connections=3, seconds=0.1)
    assert load.refused == load.answers // 2
    assert load.good + load.refused == load.answers
    assert load.broken == 0


def test_a_broken_connection_is_counted_and_replaced() -> None:
    with tiny(lambda number: b"" if number == 1 else reply()) as server:
        load = client.run_load(server.address, REQUESTS, connections=1, seconds=0.5)
    assert load.broken == 1
    assert load.answers == len(server.bodies) - 1 > 1


def test_invalid_http_counts_as_broken() -> None:
    with tiny(lambda number: b"nonsense\r\n\r\n") as server:
        load = client.run_load(server.address, REQUESTS, connections=1, seconds=0.05)
    assert load.answers == 0
    assert load.broken > 0


def test_a_single_response_has_status_headers_and_body() -> None:
    with tiny(lambda number: reply(503, b"full", Retry_After="1")) as server:
        answer = client.send_once(server.address, REQUESTS[0])
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"full", "1")


def test_an_unreachable_address_raises_the_documented_error() -> None:
    with tiny(lambda number: reply()) as server:
        address = server.address
    with pytest.raises(client.LOST):
        client.send_once(address, REQUESTS[0])


def test_several_processes_share_the_connections() -> None:
    with tiny(lambda number: reply(503 if number % 2 else 200)) as server:
        load = client.run_load(server.address, REQUESTS, connections=3, seconds=0.2, threads=2)
    assert load.connections == 3
    assert load.answers == len(server.bodies) > 3
    assert load.good + load.refused == load.answers
    assert load.broken == 0
    assert 0 < load.p50 <= load.p99 <= load.slowest
    assert load.client_cpu > 0
