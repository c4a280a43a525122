"""The client that needs nothing: asks in turn, counts by what it was told."""

import pytest

from loadtest.client import asyncio_client as client
from loadtest.client.requests import picture
from tests.loadtest.tiny import reply, tiny

REQUESTS = [picture(b"one"), picture(b"two"), picture(b"three")]


def test_requests_are_sent_in_turn_and_every_answer_counts() -> None:
    with tiny(lambda number: reply()) as server:
        load = client.run_load(server.address, REQUESTS, connections=1, seconds=0.5)
    assert load.answers == len(server.heard) > 3
    assert server.heard[:4] == [b"one", b"two", b"three", b"one"]
    assert (load.refused, load.broken, load.connections) == (0, 0, 1)
    assert 0 < load.p50 <= load.p99 <= load.slowest <= load.seconds
    assert load.client_cpu > 0


def test_refusals_are_counted_apart() -> None:
    with tiny(lambda number: reply(503 if number % 2 else 200)) as server:
        load = client.run_load(server.address, REQUESTS, connections=3, seconds=0.1)
    assert load.refused == load.answers // 2
    assert load.good + load.refused == load.answers
    assert load.broken == 0


def test_a_connection_that_breaks_is_counted_and_made_anew() -> None:
    with tiny(lambda number: b"" if number == 1 else reply()) as server:
        load = client.run_load(server.address, REQUESTS, connections=1, seconds=0.5)
    assert load.broken == 1
    assert load.answers == len(server.heard) - 1 > 1


def test_what_is_no_http_is_a_broken_answer() -> None:
    with tiny(lambda number: b"nonsense\r\n\r\n") as server:
        load = client.run_load(server.address, REQUESTS, connections=1, seconds=0.05)
    assert load.answers == 0
    assert load.broken > 0


def test_a_single_answer_comes_with_status_headers_and_body() -> None:
    with tiny(lambda number: reply(503, b"full", Retry_After="1")) as server:
        answer = client.send_once(server.address, REQUESTS[0])
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"full", "1")


def test_nobody_at_the_address_is_an_error_of_the_kind_that_is_told() -> None:
    with tiny(lambda number: reply()) as server:
        address = server.address
    with pytest.raises(client.LOST):
        client.send_once(address, REQUESTS[0])


def test_several_processes_share_the_connections() -> None:
    with tiny(lambda number: reply(503 if number % 2 else 200)) as server:
        load = client.run_load(server.address, REQUESTS, connections=3, seconds=0.2, threads=2)
    assert load.connections == 3
    assert load.answers == len(server.heard) > 3
    assert load.good + load.refused == load.answers
    assert load.broken == 0
    assert 0 < load.p50 <= load.p99 <= load.slowest
    assert load.client_cpu > 0
