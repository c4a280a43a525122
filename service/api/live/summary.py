"""The content of an event of GET /v1/live: rates, quantiles and queue, from the metrics.

    Metrics --take_snapshot--> Snapshot
    Snapshots of now, of 2 s ago and of 10 s ago --summarize--> LiveSummary

Rates look back a short time, so that they follow what happens. Quantiles and batches need more
requests to mean something and look back further. Only requests that predict count, as on the
dashboards and in the alerts: probes, scrapes and pages would flatter every rate. With several
workers all numbers are sums over them.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from service.telemetry.metrics.buffered import BufferedMetric
from service.telemetry.metrics.multiprocess import Matches, all_series
from service.telemetry.metrics.registry import BATCH_SIZES, SECONDS, Metrics
from service.telemetry.request_record import GONE

_PREDICTION = re.compile("/v1/predict|/v2/.*/infer")


class Snapshot(NamedTuple):
    """Counts since the start, and the present levels."""

    at: float  # seconds, on time.perf_counter
    requests: float
    refused: float  # of them, answered 4xx
    failed: float  # of them, answered 5xx
    shed: float
    pictures: float  # classified
    queue: float  # images
    queue_limit: float
    inflight: float
    watchers: float
    seconds: list[float]  # requests by duration: one number for each of SECONDS, +Inf
    sizes: list[float]  # model calls by number of images: for each of BATCH_SIZES, +Inf


class BatchSize(BaseModel):
    most: int | None = Field(
        description="largest number of images of a call in this bucket; null: no upper bound"
    )
    calls: int = Field(description="model calls within quantile_seconds")


class LiveSummary(BaseModel):
    provider: str
    provider_fallback: bool = Field(description="whether it is not the configured provider")
    version: str = Field(description="of the served model")
    workers: int = Field(description="processes that serve")
    draining: bool = Field(description="the service stops; the stream ends with this event")
    at: float = Field(description="seconds since 1970")
    seconds: float = Field(
        description="period of the rates: 2, less at first, 0 in the first event"
    )
    quantile_seconds: float = Field(description="period of p50, p99 and batches: 10, less at first")
    requests_per_second: float = Field(description="POST to /v1/predict and to infer under /v2")
    pictures_per_second: float = Field(description="classified images")
    refused_per_second: float = Field(description="of these requests, those answered 4xx")
    failed_per_second: float = Field(description="of these requests, those answered 5xx")
    shed_per_second: float = Field(description="requests refused or dropped to stay responsive")
    p50: float | None = Field(description="seconds, of these requests; null: there were none")
    p99: float | None = Field(description="seconds, of these requests; null: there were none")
    calls_per_second: float = Field(description="model calls")
    batches: list[BatchSize] = Field(description="model calls by number of images")
    queue: int = Field(description="queued images")
    queue_limit: int = Field(description="maximum queued images")
    inflight: int = Field(description="requests in progress")
    watchers: int = Field(description="open streams of this route")


def take_snapshot(metrics: Metrics, at: float) -> Snapshot:
    metrics.refresh()

    def total(metric: BufferedMetric, matches: Matches = all_series) -> float:
        return sum(metrics.sums(metric, matches))

    return Snapshot(
        at=at,
        requests=total(metrics.requests, _predicts),
        refused=total(metrics.requests, _was_refused),
        failed=total(metrics.requests, _failed),
        shed=total(metrics.shed),
        pictures=total(metrics.confidence),  # series of predictions may end
        queue=total(metrics.queue_depth),
        queue_limit=total(metrics.queue_limit),
        inflight=total(metrics.inflight),
        watchers=total(metrics.live_watchers),
        seconds=metrics.sums(metrics.request_seconds, _of_predictions),
        sizes=metrics.sums(metrics.batch_size),
    )


def summarize(now: Snapshot, before: Snapshot, long_before: Snapshot, **state: Any) -> LiveSummary:
    """`before` is where the rates begin, `long_before` where quantiles and batches do.

    `state` is what no snapshot has: the time, and what serves.
    """
    seconds = now.at - before.at

    def rate(now: float, before: float) -> float:
        return round((now - before) / seconds, 3) if seconds else 0.0

    durations = _difference(now.seconds, long_before.seconds)
    calls = _difference(now.sizes, long_before.sizes)
    for name in ("requests", "pictures", "refused", "failed", "shed"):
        state[f"{name}_per_second"] = rate(getattr(now, name), getattr(before, name))
    for name in ("queue", "queue_limit", "inflight", "watchers"):
        state[name] = int(getattr(now, name))
    return LiveSummary(
        seconds=round(seconds, 3),
        quantile_seconds=round(now.at - long_before.at, 3),
        p50=quantile(0.5, SECONDS, durations),
        p99=quantile(0.99, SECONDS, durations),
        calls_per_second=rate(sum(now.sizes), sum(before.sizes)),
        batches=[
            BatchSize(most=most, calls=each)
            for most, each in zip((*BATCH_SIZES, None), calls, strict=True)
        ],
        **state,
    )


def quantile(share: float, bounds: Iterable[float], counts: Iterable[float]) -> float | None:
    """As Prometheus' histogram_quantile: evenly within a bucket; None if nothing was counted.

    `counts` of each bucket alone. The last may have no bound: its values count as the highest one.
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


def _difference(now: list[float], before: list[float]) -> list[int]:
    """Of each bucket."""
    return [int(after - count) for after, count in zip(now, before, strict=True)]


def _of_predictions(route: str, version: str) -> bool:
    return _PREDICTION.fullmatch(route) is not None


def _predicts(route: str, method: str, code: str) -> bool:
    return method == "POST" and _PREDICTION.fullmatch(route) is not None


def _was_refused(route: str, method: str, code: str) -> bool:
    """A client that disconnected was not refused."""
    return code.startswith("4") and code != GONE and _predicts(route, method, code)


def _failed(route: str, method: str, code: str) -> bool:
    return code.startswith("5") and _predicts(route, method, code)
