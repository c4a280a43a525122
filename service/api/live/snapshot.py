"""What was counted until now, of all that GET /v1/live tells: one reading of the metrics.

    Metrics --take_snapshot--> Snapshot      two of them --pulse--> what happened in between

Requests are those that dashboards and alerts speak of too: a POST to a route that predicts. Probes,
scrapes and pages would flatter every share. With several workers all of it is of all of them.

A quantile of a histogram as Prometheus reckons it: evenly within the bucket it falls into.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from service.telemetry.metrics.buffered import MetricSelector
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import GONE

_PREDICTION = re.compile("/v1/predict|/v2/.*/infer")


class Snapshot(NamedTuple):
    at: float  # seconds, on time.perf_counter
    requests: float
    refused: float  # of them, answered 4xx
    failed: float  # of them, answered 5xx
    shed: float
    pictures: float  # that were answered
    seconds: list[float]  # requests by what they took: one number for each of metrics.SECONDS, +Inf
    sizes: list[float]  # calls of the model by their pictures: for each of metrics.PICTURES, +Inf
    queue: float  # pictures; this and what follows are not since the start, but now
    queue_limit: float
    inflight: float
    watchers: float


def take_snapshot(metrics: Metrics, at: float) -> Snapshot:
    *counted, seconds, sizes, queue, queue_limit, inflight, watchers = metrics.sums(
        MetricSelector(metrics.requests, _predicts),
        MetricSelector(metrics.requests, _was_refused),
        MetricSelector(metrics.requests, _failed),
        MetricSelector(metrics.shed),
        MetricSelector(metrics.predictions),
        MetricSelector(metrics.request_seconds, _took),
        MetricSelector(metrics.batch_size),
        MetricSelector(metrics.queue_depth),
        MetricSelector(metrics.queue_limit),
        MetricSelector(metrics.inflight),
        MetricSelector(metrics.live_watchers),
    )
    requests, refused, failed, shed, pictures = map(sum, counted)
    return Snapshot(
        at, requests, refused, failed, shed, pictures, seconds, sizes,
        sum(queue), sum(queue_limit), sum(inflight), sum(watchers),
    )  # fmt: skip


def _predicts(route: str, method: str, code: str) -> bool:
    return method == "POST" and _is_prediction(route)


def _was_refused(route: str, method: str, code: str) -> bool:
    """Not who hung up: nobody was there to be refused."""
    return code.startswith("4") and code != GONE and _predicts(route, method, code)


def _failed(route: str, method: str, code: str) -> bool:
    return code.startswith("5") and _predicts(route, method, code)


def _took(route: str, version: str) -> bool:
    """Whichever version answered."""
    return _is_prediction(route)


@lru_cache(maxsize=128)  # there are some thirty routes
def _is_prediction(route: str) -> bool:
    return _PREDICTION.fullmatch(route) is not None


def quantile(share: float, bounds: Iterable[float], counts: Iterable[float]) -> float | None:
    """What `share` of all stayed below; None if there were none.

    `counts` of each bucket alone. The last may have no bound: what is in it is above all others,
    nobody knows how far, and counts as the highest of them.
    """
    counts = list(counts)
    rank = share * sum(counts)
    if rank <= 0:
        return None
    below = start = 0.0  # how many are below this bucket, and where it starts
    for bound, count in zip(bounds, counts, strict=False):
        if below + count >= rank:
            return start + (bound - start) * (rank - below) / count
        below, start = below + count, bound
    return start
