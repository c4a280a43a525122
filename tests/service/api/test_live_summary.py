"""Rates, quantiles and batches computed from two readings of the metrics."""

import pytest

from service.api.live.summary import LiveSummary, Snapshot, quantile, summarize
from service.telemetry.metrics.registry import BATCH_SIZES, SECONDS

SERVES = {
    "provider": "cpu", "provider_fallback": True, "version": "3", "workers": 2, "draining": False,
}  # fmt: skip
BEGINNING = Snapshot(
    at=100.0,
    requests=50,
    refused=5,
    failed=1,
    shed=1,
    pictures=70,
    seconds=[10.0] * (len(SECONDS) + 1),
    sizes=[2.0] * (len(BATCH_SIZES) + 1),
    queue=0,
    queue_limit=1024,
    inflight=0,
    watchers=0,
)


def with_more(place: int, more: int, buckets: list[float]) -> list[float]:
    return [count + more * (place == at) for at, count in enumerate(buckets)]


def reported(
    now: Snapshot, before: Snapshot = BEGINNING, long_before: Snapshot = BEGINNING
) -> LiveSummary:
    return summarize(now, before, long_before, at=1763776657.123, **SERVES)


def test_rates_are_differences_divided_by_the_elapsed_seconds() -> None:
    now = BEGINNING._replace(
        at=102.0, requests=1650, refused=15, failed=7, shed=5, pictures=2070,
        sizes=with_more(3, 300, BEGINNING.sizes),
    )  # fmt: skip
    pulse = reported(now)
    assert pulse.seconds == 2
    assert pulse.requests_per_second == 800
    assert pulse.pictures_per_second == 1000
    assert pulse.refused_per_second == 5
    assert pulse.failed_per_second == 3
    assert pulse.shed_per_second == 2
    assert pulse.calls_per_second == 150


def test_rates_cover_less_time_than_quantiles_and_batches() -> None:
    middle = BEGINNING._replace(
        at=108.0,
        requests=150,
        seconds=with_more(0, 100, BEGINNING.seconds),
        sizes=with_more(0, 100, BEGINNING.sizes),
    )
    pulse = reported(middle._replace(at=110.0), before=middle)
    assert (pulse.seconds, pulse.quantile_seconds) == (2, 10)
    assert pulse.requests_per_second == pulse.calls_per_second == 0
    assert pulse.p50 is not None
    assert sum(each.calls for each in pulse.batches) == 100


def test_quantiles_are_of_the_requests_in_between() -> None:
    """Earlier requests were as slow as possible."""
    before = BEGINNING._replace(seconds=[0.0] * len(SECONDS) + [1e6])
    seconds = [0.0, 0.0, 60.0, 40.0, *before.seconds[4:]]
    pulse = reported(before._replace(at=105.0, seconds=seconds), before, before)
    assert pulse.p50 == quantile(0.5, SECONDS, [0, 0, 60, 40])
    assert pulse.p99 == quantile(0.99, SECONDS, [0, 0, 60, 40])
    assert pulse.p50 is not None
    assert pulse.p99 is not None
    assert 0.00025 < pulse.p50 < 0.0005 < pulse.p99 < 0.001


def test_the_first_reading_has_no_rates() -> None:
    pulse = reported(BEGINNING)
    assert pulse.seconds == pulse.quantile_seconds == pulse.requests_per_second == 0
    assert pulse.p50 is None
    assert pulse.p99 is None


def test_each_batch_size_has_a_bound_except_the_last() -> None:
    now = BEGINNING._replace(at=101.0, sizes=with_more(2, 7, BEGINNING.sizes))
    pulse = reported(now)
    assert [each.most for each in pulse.batches] == [*BATCH_SIZES, None]
    assert [each.most for each in pulse.batches if each.calls] == [4]
    assert pulse.batches[2].calls == 7


def test_new_series_start_at_zero() -> None:
    before = BEGINNING._replace(
        seconds=[0.0] * (len(SECONDS) + 1), sizes=[0.0] * (len(BATCH_SIZES) + 1)
    )
    pulse = reported(BEGINNING._replace(at=101.0), before, before)
    assert pulse.p50 == quantile(0.5, SECONDS, BEGINNING.seconds)
    assert {each.calls for each in pulse.batches} == {2}


def test_gauges_are_reported_unchanged() -> None:
    pulse = reported(BEGINNING._replace(queue=3, inflight=4, watchers=2))
    assert pulse.at == pytest.approx(1763776657.123)
    assert (pulse.queue, pulse.queue_limit, pulse.inflight, pulse.watchers) == (3, 1024, 4, 2)
    assert (pulse.provider, pulse.provider_fallback, pulse.version) == ("cpu", True, "3")
    assert (pulse.workers, pulse.draining) == (2, False)
