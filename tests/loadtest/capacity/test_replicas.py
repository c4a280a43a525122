"""From the rates of the searches to a capacity with a confidence interval, and to replicas."""

import pytest

from loadtest.capacity.results import Interval, Margin, replicas


def test_the_median_of_six_lies_within_their_range_with_97_percent_confidence() -> None:
    found = Interval.of([16.0, 11, 15, 12, 14, 13])
    assert (found.median, found.low, found.high, found.repetitions) == (13.5, 11, 16, 6)
    assert found.confidence == pytest.approx(1 - 2 / 2**6)


def test_with_more_repetitions_the_extremes_are_excluded() -> None:
    found = Interval.of([float(value) for value in range(1, 21)])
    assert (found.low, found.high) == (6, 15)  # as in tables of order statistics for 20
    assert found.confidence == pytest.approx(0.9586, abs=1e-4)


@pytest.mark.parametrize(("count", "confidence"), [(1, 0), (2, 0.5), (5, 0.9375)])
def test_with_fewer_repetitions_the_confidence_is_lower(count: int, confidence: float) -> None:
    found = Interval.of([float(value) for value in range(count)])
    assert (found.low, found.high) == (0, count - 1)
    assert found.confidence == confidence


def test_replicas_cover_the_rate_with_headroom_and_a_spare() -> None:
    row = replicas(50_000, 15_000, Margin(headroom=0.3, spare=1), cores=2)
    assert (row.needed, row.count, row.cores) == (5, 6, 12)  # 5 of 10,500 each
    assert row.used == pytest.approx(50_000 / 90_000)
    assert row.used_without_one == pytest.approx(50_000 / 75_000)
    assert row.summary == "when one is lost, 33% is left"


def test_several_replicas_need_cores_for_the_balancer_too() -> None:
    margin = Margin(headroom=0.3, spare=1, balancer_cpu=35e-6)
    assert replicas(50_000, 15_000, margin, cores=1).balancer_cores == 3  # 1.75 of 0.7 each
    alone = Margin(headroom=0.3, spare=0, balancer_cpu=35e-6)
    assert replicas(5_000, 15_000, alone, cores=1).balancer_cores == 0


@pytest.mark.parametrize(
    ("rate", "needed"), [(0.5, 1), (700, 1), (700.1, 2), (2100, 3), (2100.1, 4)]
)
def test_a_rate_that_fits_exactly_needs_no_additional_replica(rate: float, needed: int) -> None:
    row = replicas(rate, 1000, Margin(headroom=0.3, spare=0), cores=None)
    assert (row.needed, row.count, row.cores) == (needed, needed, None)


def test_the_summary_of_a_single_replica_describes_its_loss() -> None:
    alone = replicas(100, 1000, Margin(headroom=0.3, spare=0), cores=1)
    assert alone.used_without_one is None
    assert alone.summary == "one carries it; when it is lost, nothing does"
    pair = replicas(100, 1000, Margin(headroom=0.3, spare=1), cores=1)
    assert pair.summary == "one carries it; when one is lost, 90% is left"


def test_without_a_spare_the_remaining_replicas_may_be_overloaded() -> None:
    row = replicas(1900, 1000, Margin(headroom=0, spare=0), cores=1)
    assert row.count == 2
    assert row.summary == "when one is lost, the others lack 47%"
