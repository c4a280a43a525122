"""The number of users per second in each shape."""

import pytest

from loadtest.users.courses import SHARES, Course

LENGTH = 100.0  # seconds


def course(name: str, top: int = 200, steps: int = 4) -> Course:
    return Course(name, top, LENGTH, steps)


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("steps", {0: 50, 24.9: 50, 25: 100, 50: 150, 75: 200, 99.9: 200}),
        ("spike", {0: 20, 39.9: 20, 40: 200, 59.9: 200, 60.1: 20, 99.9: 20}),
        ("soak", {0: 1, 2.5: 100, 5: 200, 50: 200, 95: 200, 97.5: 100, 99.9: 4}),
        ("ramp", {0: 1, 1: 2, 7: 14, 50: 100, 99.9: 200}),
    ],
)
def test_users_follow_the_shape(name: str, users: dict[float, int]) -> None:
    here = course(name)
    assert {seconds: here.users(seconds) for seconds in users} == users


@pytest.mark.parametrize("name", SHARES)
def test_the_shape_ends_on_time_within_its_maximum_and_always_has_users(name: str) -> None:
    for top in (1, 7, 200):
        here = course(name, top)
        everybody = [here.users(tenth / 10) or 0 for tenth in range(1000)]
        assert (min(everybody) >= 1, max(everybody)) == (True, top)
        assert here.users(LENGTH) is None


@pytest.mark.parametrize("name", SHARES)
def test_users_are_spawned_as_fast_as_necessary_within_the_limit_of_locust(name: str) -> None:
    assert course(name, 5).rate >= 1
    assert course(name, 100_000).rate == 100
    assert course("ramp", 500).rate == 5
