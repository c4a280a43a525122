"""Locust's history is divided into steps; the start of each step is excluded."""

import pytest

from loadtest.ramp.result import Load, steps_of
from loadtest.report.slo import Slo
from loadtest.target.metrics import Exposition
from loadtest.target.monitor import Observation, Use
from tests.loadtest.ramp.history import history, second

LOAD = Load(started=0.0, think=0.05, cores=1)


def observation(at: float) -> Observation:
    """Of a service that computes 2 images per call, and whose users wait half a second in total."""
    text = "\n".join(
        [
            f'digitserve_http_requests_total{{code="200"}} {100 * at}',
            f"digitserve_batch_size_sum {20 * at}",
            f"digitserve_batch_size_count {10 * at}",
            f"digitserve_queue_wait_seconds_sum {0.5 * at}",
        ]
    )
    use = Use(1, 0.4 * at, resident=1, proportional=1, descriptors=1, threads=1)
    return Observation(at, 0.001, Exposition.read(text), "", use, generator_cpu=0.95 * at)


def test_each_number_of_users_is_a_step_with_its_rate_and_latencies() -> None:
    first, last = steps_of(history((10, 100, 9), (20, 180, 40)), [], LOAD)
    assert (first.users, first.offered, first.rate, first.p99) == (10, 200, 100, 0.009)
    assert (last.users, last.offered, last.p50, last.p99) == (20, 400, 0.002, 0.04)
    assert last.rate == pytest.approx(180)
    assert (first.service, first.generator) == (None, None)


def test_the_first_seconds_of_a_step_are_excluded() -> None:
    rows = [second(0, 5, 0), second(1, 5, 900), second(2, 5, 1000)]
    rows += [second(at, 5, 1000 + 10 * (at - 2)) for at in range(3, 12)]
    (step,) = steps_of(rows, [], LOAD)
    assert step.rate == 10


def test_failed_and_refused_requests_are_errors_and_not_correct_answers() -> None:
    rows = history((10, 100, 9), failing=10)
    refused = [
        {**row, "Name": "png, refused", "Total Request Count": row["Timestamp"]} for row in rows
    ]
    (step,) = steps_of([*rows, *refused], [], LOAD)
    assert (step.requests, step.errors) == (700, 77)
    assert step.rate == pytest.approx(89)
    assert step.violations(Slo(p99=1.0, errors=0.1)) == ["errors 11 % > 10 %"]


def test_steps_that_are_too_short_or_without_users_are_dropped() -> None:
    rows = [second(at, 0, 0) for at in range(9)] + [second(9, 3, 0), second(10, 3, 9)]
    assert steps_of(rows, [], LOAD) == []


def test_observations_of_the_service_are_assigned_to_the_step() -> None:
    (step,) = steps_of(history((10, 100, 9)), [observation(at) for at in range(1, 11)], LOAD)
    assert step.service is not None
    assert step.service.batch == 2
    assert step.service.queue == pytest.approx(0.5)
    assert step.service.cpu == pytest.approx(0.4)
    assert step.generator == pytest.approx(0.95)
    assert step.generator_bound


def test_users_without_think_time_have_no_target_rate() -> None:
    (step,) = steps_of(history((10, 100, 9)), [], Load(0.0, think=0.0, cores=1))
    assert step.offered is None
