"""The numbers of workers that are measured."""

import pytest

from loadtest.bench_gpu import measure as workers


@pytest.mark.parametrize(
    ("most", "numbers"), [(1, [1]), (2, [1, 2]), (7, [1, 2, 4, 7]), (8, [1, 2, 4, 8])]
)
def test_the_number_of_workers_doubles_up_to_the_maximum(most: int, numbers: list[int]) -> None:
    assert workers.numbers(most) == numbers


def test_one_core_is_left_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, most in ((1, 1), (2, 1), (4, 3), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)))
        assert workers.default_most() == most
