"""What /v1/live counts as requests, rejections and failures, in one process and in several."""

from service.api.live.summary import Snapshot, take_snapshot
from service.telemetry.metrics.registry import BATCH_SIZES, SECONDS, Metrics
from tests.support.shared_memory import workers

VERSION = 1


def answered(metrics: Metrics, route: str, code: str, method: str = "POST") -> None:
    """A request that ended after 1 ms; those with code 200 were answered by the model."""
    metrics.version_serves(VERSION)
    metrics.requests.record((route, method, code))
    metrics.seconds_of(route)[VERSION if code == "200" else None].record(0.001)


def some(metrics: Metrics) -> None:
    """Some typical counts."""
    for route in ("/v1/predict", "/v2/models/digits/infer", "/v2/models/{model}/infer"):
        answered(metrics, route, "200")
    for code in ("401", "422", "499", "500", "503"):
        answered(metrics, "/v1/predict", code)
    for route in ("/metrics", "/livez", "/v1/live", "/v1/models/{name}", "/v2/models/{model}"):
        answered(metrics, route, "200", "GET")
    answered(metrics, "/v1/models/{name}/rollback", "503")
    answered(metrics, "/v1/live", "503", "GET")
    metrics.shed.record(("queue_full",))
    metrics.confidence.record_all([0.9, 0.8, 1.0])
    metrics.batch_size.record_all([1, 2, 3, 5000])
    metrics.queue_limit.set(300)
    metrics.live_watchers.set(2)


def test_only_predictions_count_as_requests() -> None:
    metrics = Metrics()
    some(metrics)
    tally = take_snapshot(metrics, 12.5)
    assert tally.at == 12.5
    assert tally.requests == 8


def test_only_requests_that_a_model_answered_have_a_duration() -> None:
    metrics = Metrics()
    some(metrics)
    tally = take_snapshot(metrics, 0.0)
    assert sum(tally.seconds) == 3
    assert tally.seconds[SECONDS.index(0.001)] == 3


def test_a_disconnected_client_is_not_counted_as_rejected() -> None:
    metrics = Metrics()
    some(metrics)
    tally = take_snapshot(metrics, 0.0)
    assert (tally.refused, tally.failed, tally.shed) == (2, 2, 1)


def test_another_method_is_not_a_prediction() -> None:
    metrics = Metrics()
    answered(metrics, "/v1/predict", "405", "GET")
    tally = take_snapshot(metrics, 0.0)
    assert (tally.requests, tally.refused) == (0, 0)


def test_calls_are_counted_by_batch_size() -> None:
    metrics = Metrics()
    some(metrics)
    tally = take_snapshot(metrics, 0.0)
    by_bound = dict(zip((*BATCH_SIZES, None), tally.sizes, strict=True))
    assert [bound for bound, calls in by_bound.items() if calls] == [1, 2, 4, None]
    assert sum(tally.sizes) == 4
    assert tally.pictures == 3


# ---- several workers -----------------------------------------------------------------------------


def test_all_numbers_are_zero_at_the_start() -> None:
    (memory,) = workers(1)
    nothing = take_snapshot(Metrics(memory), 0.0)
    assert not any(sum(each) if isinstance(each, list) else each for _, each in nothing)


def test_each_worker_reports_the_sums_of_all() -> None:
    alone = Metrics()
    some(alone)
    expected = take_snapshot(alone, 0.0)
    reported: list[Snapshot] = []
    for memory in workers(3):
        metrics = Metrics(memory)
        some(metrics)
        reported.append(take_snapshot(metrics, 0.0))
    assert reported == [times(expected, number) for number in (1, 2, 3)]


def test_new_labels_of_another_worker_are_included() -> None:
    one, other = map(Metrics, workers(2))
    some(one)
    before = take_snapshot(one, 0.0)
    for code in ("400", "200"):
        answered(other, "/v2/models/{model}/versions/{version}/infer", code)
    other.refresh()
    tally = take_snapshot(one, 0.0)
    assert (tally.requests, tally.refused) == (before.requests + 2, before.refused + 1)
    assert sum(tally.seconds) == sum(before.seconds) + 1


def times(tally: Snapshot, number: int) -> Snapshot:
    values = {
        name: [one * number for one in each] if isinstance(each, list) else each * number
        for name, each in tally
    }
    return Snapshot.model_validate(values)
