"""How many workers are measured."""

import pytest

from loadtest.bench_gpu import measure as workers


@pytest.mark.parametrize(
    ("most", "numbers"), [(1, [1]), (2, [1, 2]), (7, [1, 2, 4, 7]), (8, [1, 2, 4, 8])]
)
def test_workers_double_up_to_the_most(most: int, numbers: list[int]) -> None:
    assert workers.numbers(most) == numbers


def test_a_core_is_left_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, most in ((1, 1), (2, 1), (4, 3), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)))
        assert workers.default_most() == most
