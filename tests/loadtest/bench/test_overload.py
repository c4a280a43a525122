"""The time until a service has recovered from an overload."""

import pytest

from loadtest.bench.overload import STEADY, normal_after
from loadtest.client.asyncio_client import Attempt

BEGAN, ENDED = 100.0, 110.0
BEFORE = [Attempt(99.0 + n / 1000, 99.001 + n / 1000, 200) for n in range(50)]


def answered(after: float, status: int = 200, seconds: float = 0.001) -> Attempt:
    """An answer that came so long after the end of the load."""
    return Attempt(ENDED + after - seconds, ENDED + after, status)


def steady(after: float) -> list[Attempt]:
    return [answered(after + n / 1000) for n in range(STEADY)]


def test_recovery_starts_with_the_first_of_many_fast_successful_answers() -> None:
    answers = [*BEFORE, answered(0.01, status=503), answered(0.02, seconds=1.0), *steady(0.05)]
    assert normal_after(answers, BEGAN, ENDED) == pytest.approx(0.05)


def test_one_successful_answer_among_failures_is_no_recovery() -> None:
    answers = [*BEFORE, *steady(0.01)[:-1], answered(0.2, status=503), *steady(0.3)]
    assert normal_after(answers, BEGAN, ENDED) == pytest.approx(0.3)


def test_a_service_that_does_not_recover_is_reported() -> None:
    answers = [
        *BEFORE,
        *(answered(n / 10, status=200 if n % STEADY else 503) for n in range(4 * STEADY)),
    ]
    assert normal_after(answers, BEGAN, ENDED) is None


def test_a_service_that_was_slow_before_may_be_as_slow_afterwards() -> None:
    before = [Attempt(99.0, 99.5, 200)]
    answers = [*before, *(answered(1 + n / 10, seconds=1.0) for n in range(STEADY))]
    assert normal_after(answers, BEGAN, ENDED) == pytest.approx(1.0)
