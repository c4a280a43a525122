"""At most a given number of events pass per second."""

from itertools import pairwise

from service.telemetry.logs.rate_limit import RateLimiter


def test_low_traffic_passes_completely() -> None:
    limiter = RateLimiter(10)
    assert all(limiter.try_acquire(second / 9) == 0 for second in range(100))


def test_the_events_of_a_second_may_arrive_at_once() -> None:
    limiter = RateLimiter(10)
    passed = [limiter.try_acquire(5.0) for _ in range(30)]
    assert passed == [0] * 10 + [None] * 20


def test_excess_events_are_dropped_evenly_and_counted() -> None:
    limiter = RateLimiter(10)
    passed = [(number / 1000, limiter.try_acquire(number / 1000)) for number in range(5000)]
    lines = [(when, left_out) for when, left_out in passed if left_out is not None]
    assert 58 <= len(lines) <= 60  # ten at once, then ten a second for five
    assert max(later[0] - when for (when, _), later in pairwise(lines)) < 0.11
    last = lines[-1][0]
    assert len(lines) + sum(left_out for _, left_out in lines) == round(last * 1000) + 1


def test_the_burst_is_available_again_after_a_pause() -> None:
    limiter = RateLimiter(10)
    for _ in range(30):
        limiter.try_acquire(0.0)
    passed = [limiter.try_acquire(60.0) for _ in range(12)]
    assert passed == [20] + [0] * 9 + [None, None]
