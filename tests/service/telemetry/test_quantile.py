"""A quantile of a histogram is what Prometheus' histogram_quantile would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.live.summary import quantile

BOUNDS = (1.0, 2.0, 4.0)
SHARES = st.floats(0.01, 1.0)
COUNTS = st.lists(st.integers(0, 1000), min_size=4, max_size=4)


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, [4, 0, 0, 0], 0.5),  # the first bucket begins at 0
        (0.5, [2, 2, 0, 0], 1.0),
        (0.75, [2, 2, 0, 0], 1.5),
        (0.99, [0, 0, 100, 0], 3.98),
        (1.0, [1, 0, 1, 0], 4.0),
        (0.5, [1, 0, 1, 0], 1.0),
        (0.99, [1, 0, 0, 99], 4.0),  # nobody knows more
    ],
)
def test_it_lies_evenly_within_its_bucket(share: float, counts: list[int], expected: float) -> None:
    assert quantile(share, BOUNDS, counts) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [[], [0, 0, 0, 0]])
def test_of_nothing_there_is_none(counts: list[int]) -> None:
    assert quantile(0.5, BOUNDS, counts) is None


@given(SHARES, COUNTS.filter(any))
def test_it_is_among_those_it_is_told_of(share: float, counts: list[int]) -> None:
    """In the bucket that holds the observation of that rank, counted from the lowest."""
    found = quantile(share, BOUNDS, counts)
    assert found is not None
    edges = [0.0, *BOUNDS, BOUNDS[-1]]
    buckets = [bucket for bucket, count in enumerate(counts) for _ in range(count)]
    rank = share * len(buckets)
    low = buckets[max(0, int(rank) - 1)]
    high = buckets[min(len(buckets) - 1, int(rank))]
    assert edges[low] - 1e-9 <= found <= edges[high + 1] + 1e-9


@given(COUNTS.filter(any), SHARES, SHARES)
def test_a_larger_share_is_never_lower(counts: list[int], one: float, other: float) -> None:
    few, many = (quantile(share, BOUNDS, counts) for share in sorted((one, other)))
    assert few is not None
    assert many is not None
    assert few <= many + 1e-9
