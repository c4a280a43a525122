"""When is a service itself again after too much was asked of it?"""

import pytest

from loadtest.bench.overload import STEADY, normal_after
from loadtest.client.asyncio_client import Attempt

BEGAN, ENDED = 100.0, 110.0
BEFORE = [Attempt(99.0 + n / 1000, 99.001 + n / 1000, 200) for n in range(50)]


def answered(after: float, status: int = 200, seconds: float = 0.001) -> Attempt:
    """An answer that came so long after the load's end."""
    return Attempt(ENDED + after - seconds, ENDED + after, status)


def steady(after: float) -> list[Attempt]:
    return [answered(after + n / 1000) for n in range(STEADY)]


def test_it_is_normal_from_the_first_of_many_good_and_quick_answers() -> None:
    asked = [*BEFORE, answered(0.01, status=503), answered(0.02, seconds=1.0), *steady(0.05)]
    assert normal_after(asked, BEGAN, ENDED) == pytest.approx(0.05)


def test_a_good_answer_among_bad_ones_is_not_normal() -> None:
    asked = [*BEFORE, *steady(0.01)[:-1], answered(0.2, status=503), *steady(0.3)]
    assert normal_after(asked, BEGAN, ENDED) == pytest.approx(0.3)


def test_what_never_settles_is_said_to_be_so() -> None:
    asked = [
        *BEFORE,
        *(answered(n / 10, status=200 if n % STEADY else 503) for n in range(4 * STEADY)),
    ]
    assert normal_after(asked, BEGAN, ENDED) is None


def test_a_service_that_was_slow_before_may_be_as_slow_after() -> None:
    before = [Attempt(99.0, 99.5, 200)]
    asked = [*before, *(answered(1 + n / 10, seconds=1.0) for n in range(STEADY))]
    assert normal_after(asked, BEGAN, ENDED) == pytest.approx(1.0)
