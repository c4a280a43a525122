"""Rates, quantiles and batches computed from readings of the metrics of one or more replicas."""

from typing import Any

from service.api.live.summary import (
    BatchSize,
    History,
    Load,
    Period,
    Snapshot,
    batches_of,
    load_of,
    quantile,
)
from service.telemetry.metrics.registry import BATCH_SIZES, SECONDS

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


def changed(snapshot: Snapshot, **values: Any) -> Snapshot:
    return snapshot.model_copy(update=values)


def reported(
    now: Snapshot, before: Snapshot = BEGINNING, long_before: Snapshot = BEGINNING
) -> Load:
    return load_of([Period(now, before, long_before)])


def batches(now: Snapshot, long_before: Snapshot = BEGINNING) -> list[BatchSize]:
    return batches_of([Period(now, long_before, long_before)])


def test_rates_are_differences_divided_by_the_elapsed_seconds() -> None:
    now = changed(BEGINNING, at=102.0, requests=1650, refused=15, failed=7, shed=5, pictures=2070,
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
    middle = changed(
        BEGINNING,
        at=108.0,
        requests=150,
        seconds=with_more(0, 100, BEGINNING.seconds),
        sizes=with_more(0, 100, BEGINNING.sizes),
    )
    pulse = reported(changed(middle, at=110.0), before=middle)
    assert (pulse.seconds, pulse.quantile_seconds) == (2, 10)
    assert pulse.requests_per_second == pulse.calls_per_second == 0
    assert pulse.p50 is not None
    assert sum(each.calls for each in batches(changed(middle, at=110.0))) == 100


def test_quantiles_are_of_the_requests_in_between() -> None:
    """Earlier requests were as slow as possible."""
    before = changed(BEGINNING, seconds=[0.0] * len(SECONDS) + [1e6])
    seconds = [0.0, 0.0, 60.0, 40.0, *before.seconds[4:]]
    pulse = reported(changed(before, at=105.0, seconds=seconds), before, before)
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
    now = changed(BEGINNING, at=101.0, sizes=with_more(2, 7, BEGINNING.sizes))
    sizes = batches(now)
    assert [each.most for each in sizes] == [*BATCH_SIZES, None]
    assert [each.most for each in sizes if each.calls] == [4]
    assert sizes[2].calls == 7


def test_new_series_start_at_zero() -> None:
    before = changed(
        BEGINNING, seconds=[0.0] * (len(SECONDS) + 1), sizes=[0.0] * (len(BATCH_SIZES) + 1)
    )
    now = changed(BEGINNING, at=101.0)
    assert reported(now, before, before).p50 == quantile(0.5, SECONDS, BEGINNING.seconds)
    assert {each.calls for each in batches(now, before)} == {2}


def test_gauges_are_reported_unchanged() -> None:
    pulse = reported(changed(BEGINNING, queue=3, inflight=4, watchers=2))
    assert (pulse.queue, pulse.queue_limit, pulse.inflight, pulse.watchers) == (3, 1024, 4, 2)


# ---- several replicas ----------------------------------------------------------------------------


def test_replicas_are_summed_over_the_period_of_each() -> None:
    """Their clocks are not compared, and a slow reading of one does not distort its rate."""
    one = Period(changed(BEGINNING, at=102.0, requests=150, queue=2), BEGINNING, BEGINNING)
    began = changed(BEGINNING, at=7.0, requests=0)
    other = Period(changed(began, at=11.0, requests=40, queue=5), began, began)
    pulse = load_of([one, other])
    assert pulse.requests_per_second == 100 / 2 + 40 / 4
    assert (pulse.queue, pulse.queue_limit) == (7, 2048)


def test_quantiles_over_replicas_are_those_of_all_their_requests() -> None:
    """A slow replica with few requests does not move the median as an average of medians would."""
    fast = changed(BEGINNING, at=101.0, seconds=with_more(2, 9900, BEGINNING.seconds))
    slow = changed(BEGINNING, at=101.0, seconds=with_more(9, 100, BEGINNING.seconds))
    pulse = load_of([Period(now, BEGINNING, BEGINNING) for now in (fast, slow)])
    together = [float(9900 * (at == 2) + 100 * (at == 9)) for at in range(len(SECONDS) + 1)]
    assert pulse.p50 == quantile(0.5, SECONDS, together)
    assert pulse.p50 is not None
    assert pulse.p50 < 0.001


def test_batches_of_replicas_are_summed() -> None:
    now = changed(BEGINNING, at=101.0, sizes=with_more(2, 7, BEGINNING.sizes))
    sizes = batches_of([Period(now, BEGINNING, BEGINNING)] * 3)
    assert {each.most: each.calls for each in sizes if each.calls} == {4: 21}


def test_after_a_restart_the_history_begins_anew() -> None:
    history = History(rates=2, quantiles=10)
    history.add(BEGINNING)
    history.add(changed(BEGINNING, at=101.0, seconds=[0.0] * (len(SECONDS) + 1), requests=0))
    now, before, long_before = history.period
    assert now is before is long_before
    assert load_of([history.period]).requests_per_second == 0
