"""What GET /v1/live tells: how the service does, from what was counted now and a little before.

    Snapshot of now, of 2 s ago, of 10 s ago, and what serves --summarize--> LiveSummary

Rates look back a short time, so that they follow what happens. Quantiles need more requests than
that to mean something: they look back further, and batches with them.
"""

from itertools import zip_longest
from typing import NamedTuple

from pydantic import BaseModel, Field

from service.api.live.snapshot import Snapshot, quantile
from service.telemetry.metrics.registry import PICTURES, SECONDS

_SIZES = (*PICTURES, None)


class BatchSize(BaseModel):
    most: int | None = Field(
        description="pictures of a call, at most; more than the one before; null: more than that"
    )
    calls: int = Field(description="of the model, in quantile_seconds")


class LiveSummary(BaseModel):
    at: float = Field(description="seconds since 1970")
    seconds: float = Field(
        description="that the rates look back: 2, less for who has just come, 0 at first"
    )
    quantile_seconds: float = Field(
        description="that p50, p99 and batches look back: 10, less for who has just come"
    )
    requests_per_second: float = Field(description="POST to /v1/predict and to infer under /v2")
    pictures_per_second: float = Field(description="that were answered")
    refused_per_second: float = Field(description="of these requests, answered 4xx")
    failed_per_second: float = Field(description="of these requests, answered 5xx")
    shed_per_second: float = Field(description="refused or given up on to stay responsive")
    p50: float | None = Field(description="seconds, of these requests; null: there were none")
    p99: float | None = Field(description="seconds, of these requests; null: there were none")
    calls_per_second: float = Field(description="of the model")
    batches: list[BatchSize] = Field(description="calls of the model by how many pictures they had")
    queue: int = Field(description="pictures that wait")
    queue_limit: int = Field(description="pictures that may wait")
    inflight: int = Field(description="requests that are being worked on")
    provider: str
    provider_fallback: bool = Field(description="whether it is another than was asked for")
    version: str = Field(description="of the model that serves")
    workers: int = Field(description="processes that serve")
    draining: bool = Field(description="the service stops; the stream ends with this event")
    watchers: int = Field(description="open streams like this one")


class ServiceState(NamedTuple):
    """What nobody counts."""

    provider: str
    provider_fallback: bool
    version: str
    workers: int
    draining: bool


def summarize(
    now: Snapshot, before: Snapshot, long_before: Snapshot, state: ServiceState, at: float
) -> LiveSummary:
    """`before` is what the rates look back to, `long_before` what all the rest does."""
    seconds = now.at - before.at

    def rate(now: float, before: float) -> float:
        return round((now - before) / seconds, 3) if seconds else 0.0

    took = _between(now.seconds, long_before.seconds)
    calls = _between(now.sizes, long_before.sizes)
    return LiveSummary(
        at=round(at, 3),
        seconds=round(seconds, 3),
        quantile_seconds=round(now.at - long_before.at, 3),
        requests_per_second=rate(now.requests, before.requests),
        pictures_per_second=rate(now.pictures, before.pictures),
        refused_per_second=rate(now.refused, before.refused),
        failed_per_second=rate(now.failed, before.failed),
        shed_per_second=rate(now.shed, before.shed),
        p50=quantile(0.5, SECONDS, took),
        p99=quantile(0.99, SECONDS, took),
        calls_per_second=rate(sum(now.sizes), sum(before.sizes)),
        batches=[
            BatchSize(most=most, calls=each) for most, each in zip(_SIZES, calls, strict=False)
        ],
        queue=int(now.queue),
        queue_limit=int(now.queue_limit),
        inflight=int(now.inflight),
        watchers=int(now.watchers),
        **state._asdict(),
    )


def _between(now: list[float], before: list[float]) -> list[int]:
    """Of buckets; before the first request there may be none."""
    return [int(after - count) for after, count in zip_longest(now, before, fillvalue=0)]
