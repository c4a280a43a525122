"""Looks become periods, one after the other; those that saw nothing are counted."""

from dataclasses import replace

import pytest

from loadtest.soak.run import Periods
from loadtest.target.metrics import Exposition
from loadtest.target.monitor import Look, Use

USE = Use(processes=1, cpu=1.0, resident=100, proportional=90, descriptors=9, threads=3)
ROUTE = 'route="/v1/predict"'
SECONDS = "digitserve_http_request_duration_seconds_bucket"


def look(at: float, answers: int, *, failed: int = 0, cpu: float = 1.0) -> Look:
    lines = (
        f'digitserve_http_requests_total{{code="200",{ROUTE}}} {answers - failed}',
        f'digitserve_http_requests_total{{code="500",{ROUTE}}} {failed}',
        f'{SECONDS}{{le="0.001",{ROUTE}}} {answers}',
        f'{SECONDS}{{le="+Inf",{ROUTE}}} {answers}',
    )
    metrics = Exposition.read("\n".join(lines))
    return Look(at, 0.001, metrics, "", replace(USE, cpu=cpu), generator_cpu=at / 10)


def lost(at: float, use: Use | None = USE) -> Look:
    return Look(at, 5.0, None, "/metrics: TimeoutError()", use, generator_cpu=0.0)


def taken(*looks: Look) -> Periods:
    periods = Periods()
    periods.take([*looks])
    return periods


def test_a_period_is_what_was_counted_between_two_looks() -> None:
    (period,) = taken(look(1, 100), look(3, 500, failed=2, cpu=1.5)).seen
    assert (period.at, period.seconds, period.rate) == (3, 2, 200)
    assert (period.answers, period.failed) == (400, 2)
    assert (period.resident, period.descriptors, period.threads) == (100, 9, 3)
    assert period.cpu == 0.25
    assert period.generator == pytest.approx(0.1)
    assert 0 < period.p50 < period.p99 <= 0.001


def test_looks_are_taken_out_of_the_list_and_their_numbers_kept() -> None:
    periods, looks = Periods(), [look(at, 100 * at) for at in range(1, 6)]
    periods.take(looks)
    assert looks == []
    periods.take([look(6, 600)])
    assert [each.at for each in periods.seen] == [2, 3, 4, 5, 6]
    assert {each.answers for each in periods.seen} == {100}


def test_a_look_that_failed_says_why_and_the_next_period_is_longer() -> None:
    periods = taken(look(1, 100), lost(2), look(3, 300))
    assert periods.lost == ["/metrics: TimeoutError()"]
    assert [each.seconds for each in periods.seen] == [2]
    assert not periods.gone


@pytest.mark.parametrize("use", [None, replace(USE, resident=0)])
def test_a_service_that_has_ended_is_gone(use: Use | None) -> None:
    assert taken(look(1, 100), lost(2, use)).gone
