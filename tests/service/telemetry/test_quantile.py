"""A quantile of a histogram equals the result of Prometheus' histogram_quantile."""

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
        (0.99, [1, 0, 0, 99], 4.0),  # no better estimate is possible
    ],
)
def test_a_quantile_is_interpolated_within_its_bucket(
    share: float, counts: list[int], expected: float
) -> None:
    assert quantile(share, BOUNDS, counts) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [[], [0, 0, 0, 0]])
def test_an_empty_histogram_has_no_quantile(counts: list[int]) -> None:
    assert quantile(0.5, BOUNDS, counts) is None


@given(SHARES, COUNTS.filter(any))
def test_a_quantile_lies_within_the_observed_buckets(share: float, counts: list[int]) -> None:
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
def test_a_larger_share_has_no_lower_quantile(counts: list[int], one: float, other: float) -> None:
    few, many = (quantile(share, BOUNDS, counts) for share in sorted((one, other)))
    assert few is not None
    assert many is not None
    assert few <= many + 1e-9
