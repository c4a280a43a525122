"""Remarks that qualify the rows of a report."""

from loadtest.bench.results import Round, remarks, rows
from tests.loadtest.bench.rounds import measured, visited


def reported(*rounds: Round) -> list[str]:
    return remarks(rows(list(rounds)))


def test_flawless_rows_have_no_remarks() -> None:
    assert reported(Round(None, [visited("service", measured(64, 5_000, 1e-4))])) == []
    assert reported() == []


def test_a_client_that_uses_its_whole_core_is_reported_per_row() -> None:
    busy, idle = measured(64, 9_000, 1e-5, client=0.96), measured(1, 900, 1e-4, client=0.9)
    assert reported(Round(None, [visited("echo", busy, idle, right=None)])) == [
        "The client was the bottleneck: echo, images, 64 connections: it took 96% of its own "
        "core, so the server may do more than was measured."
    ]


def test_the_median_of_the_rounds_decides_whether_the_client_was_the_bottleneck() -> None:
    shares = (0.95, 0.4, 0.99)
    busy = [Round(None, [visited("echo", measured(1, 9, 1.0, client=each))]) for each in shares]
    (sentence,) = reported(*busy)
    assert "echo, images, 1 connection: it took 95%" in sentence
    assert reported(*busy[:2]) == []


def test_refused_and_broken_requests_are_reported_per_row_over_all_rounds() -> None:
    refuses, breaks = measured(64, 9_000, 1e-5, refused=600), measured(1, 900, 1e-4, broken=1)
    rounds = [Round(None, [visited("mosec", refuses, breaks, measured(4, 90, 1e-3))])] * 2
    assert reported(*rounds) == [
        "Not everything was answered with 200: mosec, images, 64 connections: 1,200 refused, "
        "0 broken; refusals count in its req/s too.",
        "Not everything was answered with 200: mosec, images, 1 connection: 0 refused, "
        "2 broken; refusals count in its req/s too.",
    ]


def test_a_peer_with_fewer_correct_answers_than_the_service_is_reported() -> None:
    load = measured(64, 9, 1.0)
    visits = [
        visited("echo", load, right=None),
        visited("service", load, right=98),
        visited("mosec", load, right=98),
        visited("litserve", load, right=97),
    ]
    assert reported(Round(None, visits)) == [
        "Not the same work: litserve reads 97 of 100 images right, the service 98."
    ]
