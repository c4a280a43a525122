"""Observations are converted to consecutive periods; failed ones are counted."""

from dataclasses import replace

import pytest

from loadtest.soak.run import Periods
from loadtest.target.metrics import Exposition
from loadtest.target.monitor import Observation, Use

USE = Use(processes=1, cpu=1.0, resident=100, proportional=90, descriptors=9, threads=3)
ROUTE = 'route="/v1/predict"'
SECONDS = "digitserve_http_request_duration_seconds_bucket"


def observation(at: float, answers: int, *, failed: int = 0, cpu: float = 1.0) -> Observation:
    lines = (
        f'digitserve_http_requests_total{{code="200",{ROUTE}}} {answers - failed}',
        f'digitserve_http_requests_total{{code="500",{ROUTE}}} {failed}',
        f'{SECONDS}{{le="0.001",{ROUTE}}} {answers}',
        f'{SECONDS}{{le="+Inf",{ROUTE}}} {answers}',
    )
    metrics = Exposition.read("\n".join(lines))
    return Observation(at, 0.001, metrics, "", replace(USE, cpu=cpu), generator_cpu=at / 10)


def failed_observation(at: float, use: Use | None = USE) -> Observation:
    return Observation(at, 5.0, None, "/metrics: TimeoutError()", use, generator_cpu=0.0)


def taken(*observations: Observation) -> Periods:
    periods = Periods()
    periods.take([*observations])
    return periods


def test_a_period_has_the_counts_between_two_observations() -> None:
    (period,) = taken(observation(1, 100), observation(3, 500, failed=2, cpu=1.5)).complete
    assert (period.at, period.seconds, period.rate) == (3, 2, 200)
    assert (period.answers, period.failed) == (400, 2)
    assert (period.resident, period.descriptors, period.threads) == (100, 9, 3)
    assert period.cpu == 0.25
    assert period.generator == pytest.approx(0.1)
    assert 0 < period.p50 < period.p99 <= 0.001


def test_observations_are_removed_from_the_list_and_their_numbers_kept() -> None:
    periods, observations = Periods(), [observation(at, 100 * at) for at in range(1, 6)]
    periods.take(observations)
    assert observations == []
    periods.take([observation(6, 600)])
    assert [each.at for each in periods.complete] == [2, 3, 4, 5, 6]
    assert {each.answers for each in periods.complete} == {100}


def test_a_failed_observation_has_its_reason_and_the_next_period_is_longer() -> None:
    periods = taken(observation(1, 100), failed_observation(2), observation(3, 300))
    assert periods.errors == ["/metrics: TimeoutError()"]
    assert [each.seconds for each in periods.complete] == [2]
    assert not periods.gone


@pytest.mark.parametrize("use", [None, replace(USE, resident=0)])
def test_a_service_that_has_ended_is_gone(use: Use | None) -> None:
    assert taken(observation(1, 100), failed_observation(2, use)).gone
