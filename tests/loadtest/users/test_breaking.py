"""A service breaks when what it did in the last 10 seconds is too slow or too often wrong."""

from loadtest.users.breaking import Counted, Limits, Watch

LIMITS = Limits(p99=0.05, errors=0.01)


def counted(at: float, fast: int, slow: int = 0, bad: int = 0) -> Counted:
    return Counted(at, int(at) + 1, {10: fast, 200: slow}, fast + slow, bad)


def test_nothing_is_seen_before_a_window_is_over_or_without_answers() -> None:
    watch = Watch()
    assert watch.look(counted(0, 0)) is None
    assert watch.look(counted(9, 900)) is None
    assert Watch().look(counted(0, 0)) is None
    assert watch.look(counted(10, 1000)) is not None


def test_what_is_seen_is_of_the_last_window_alone() -> None:
    watch = Watch()
    for second in range(30):
        seen = watch.look(counted(second, 100 * second, slow=50 if second else 0))
    assert seen is not None
    assert (seen.users, seen.rate, seen.p99, seen.errors) == (30, 100, 0.01, 0)
    assert not LIMITS.broken(seen)


def test_one_slow_answer_in_a_hundred_is_allowed_and_two_are_not() -> None:
    for slow, broken in ((1, False), (2, True)):
        watch = Watch()
        watch.look(counted(0, 0))
        seen = watch.look(counted(10, 100 - slow, slow))
        assert seen is not None
        assert LIMITS.broken(seen) is broken
    assert str(seen) == "11 users, 10 requests/s, p99 200 ms, 0.00% failed or refused"


def test_so_is_what_failed_or_was_refused() -> None:
    for bad, broken in ((1, False), (2, True)):
        watch = Watch()
        watch.look(counted(0, 0))
        seen = watch.look(counted(10, 100, bad=bad))
        assert seen is not None
        assert LIMITS.broken(seen) is broken
