"""So many a second, and no more."""

from itertools import pairwise

from service.telemetry.logs.rate_limit import RateLimiter


def test_little_traffic_passes_whole() -> None:
    limiter = RateLimiter(10)
    assert all(limiter.try_acquire(second / 9) == 0 for second in range(100))


def test_a_second_s_worth_may_come_at_once() -> None:
    limiter = RateLimiter(10)
    passed = [limiter.try_acquire(5.0) for _ in range(30)]
    assert passed == [0] * 10 + [None] * 20


def test_of_a_flood_so_many_pass_evenly_and_none_is_forgotten() -> None:
    limiter = RateLimiter(10)
    passed = [(number / 1000, limiter.try_acquire(number / 1000)) for number in range(5000)]
    lines = [(when, left_out) for when, left_out in passed if left_out is not None]
    assert 58 <= len(lines) <= 60  # ten at once, then ten a second for five
    assert max(later[0] - when for (when, _), later in pairwise(lines)) < 0.11
    last = lines[-1][0]
    assert len(lines) + sum(left_out for _, left_out in lines) == round(last * 1000) + 1


def test_after_a_pause_as_many_pass_again() -> None:
    limiter = RateLimiter(10)
    for _ in range(30):
        limiter.try_acquire(0.0)
    passed = [limiter.try_acquire(60.0) for _ in range(12)]
    assert passed == [20] + [0] * 9 + [None, None]
