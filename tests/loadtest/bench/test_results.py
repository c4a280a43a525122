"""Ratios are computed per round; the median of the rounds is reported with its spread."""

import pytest

from loadtest.bench.results import Round, Spread, ratios, rows
from loadtest.client.result import quantile
from tests.loadtest.bench.rounds import MB, measured, one_round, visited

ROUNDS = [one_round(cost) for cost in (120e-6, 60e-6, 100e-6)]


def test_a_quantile_is_one_of_the_measured_times() -> None:
    times = [float(number) for number in range(100, 0, -1)]
    assert (quantile(times, 0.5), quantile(times, 0.99), quantile(times, 1)) == (50, 99, 100)
    assert (quantile([7.0], 0.01), quantile([], 0.5)) == (7, 0)


def test_the_costs_of_limit_and_service_are_compared_per_round() -> None:
    spread = ratios(ROUNDS)["limit's CPU / service's CPU, 64 connections"]
    assert spread.median == pytest.approx(0.6)
    assert spread.lowest == pytest.approx(0.5)
    assert spread.highest == pytest.approx(1.0)


def test_every_target_of_the_benchmark_has_a_ratio() -> None:
    reported = {name: spread.median for name, spread in ratios(ROUNDS, ("mosec",)).items()}
    assert reported == {
        "limit's CPU / service's CPU, 64 connections": pytest.approx(0.6),
        "req/s / those of decoder and network alone, 64 connections": pytest.approx(0.15),
        "p99 / p50, 64 connections": pytest.approx(3),
        "p50 above the echo's, 1 connection, us": pytest.approx(300),
        "images/s in batches of 64 / network's alone": pytest.approx(500 * 64 * 20e-6),
        "service's req/s / mosec's, 64 connections": pytest.approx(0.5),
        "service's req/s / mosec's, 1 connection": pytest.approx(0.5),
        "service's CPU a request / mosec's, 64 connections": pytest.approx(100 / 60),
    }


def test_the_service_is_compared_with_the_better_configuration_of_mosec() -> None:
    pair = [
        visited("service", measured(8, 6_000, 1e-4)),
        visited("mosec", measured(8, 4_000, 1e-4)),
    ]
    rounds = [Round(None, [*pair, visited("mosec, tuned for 1", measured(8, 5_000, 1e-4))])]
    found = ratios(rounds, ("mosec",))
    assert found["service's req/s / the better mosec's, 8 connections"].median == 6_000 / 5_000


def test_two_workers_and_drawings_are_compared_with_the_peers() -> None:
    drawn = [
        visited(name, measured(64, rate, 1e-4, posted="drawings"))
        for name, rate in (("service", 900), ("fastapi", 600))
    ]
    two = [
        visited(f"{name}, 2 workers", measured(64, rate, 1e-4))
        for name, rate in (("service", 8_000), ("mosec", 4_000))
    ]
    found = ratios([Round(None, [*drawn, *two])], ("mosec", "fastapi"))
    assert {name: spread.median for name, spread in found.items()} == {
        "service's req/s / mosec's, 2 workers each": 2,
        "service's req/s / fastapi's, drawings": 1.5,
    }


def test_skipped_measurements_have_no_ratio() -> None:
    alone = [Round(None, [visited("service", measured(64, 5_000, 1e-4))])]
    assert list(ratios(alone, ("mosec",))) == ["p99 / p50, 64 connections"]
    assert ratios([]) == {}
    assert rows([]) == []


def test_a_row_has_the_median_of_its_rounds_and_the_sum_of_failures() -> None:
    row = next(row for row in rows(ROUNDS) if (row.target, row.connections) == ("service", 64))
    cpu, rate = row.of_load(lambda each: each.cpu), row.of_load(lambda each: each.load.rate)
    assert cpu == Spread(median=100e-6, lowest=60e-6, highest=120e-6)
    assert (rate.median, row.refused, row.broken) == (5_000, 3, 0)
    assert row.of_visit(lambda each: each.idle.largest).median == 60 * MB
    assert row.client == 0.25
    assert (row.right, row.images) == (99, 100)


def test_correct_answers_are_those_of_the_worst_round() -> None:
    read = [Round(None, [visited("mosec", measured(1, 9, 1.0), right=n)]) for n in (99, 97, 98)]
    assert [row.right for row in rows(read)] == [97]
