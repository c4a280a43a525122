"""So many a second are allowed, whoever asks for more."""

from service.allowance import Allowance


def test_no_more_are_allowed_at_once_than_in_a_second() -> None:
    allowance = Allowance(5)
    assert [allowance.take() for _ in range(8)].count(True) == 5


def test_after_a_while_there_are_more_again() -> None:
    allowance = Allowance(10_000)
    while allowance.take():
        pass
    for _ in range(1_000_000):
        if allowance.take():
            return
    raise AssertionError("a second's worth never grew back")
