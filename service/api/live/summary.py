"""The numbers of GET /v1/live: rates, quantiles and queue, from the metrics of the replicas.

    Metrics --take_snapshot--> Snapshot --History--> Period, one of each replica
    Periods --load_of, batches_of--> their sums

Rates look back a short time, so that they follow what happens. Quantiles and batches need more
requests to mean something and look back further. Only requests that predict count, as on the
dashboards and in the alerts: probes, scrapes and pages would flatter every rate. With several
workers all numbers of a snapshot are sums over them. Quantiles over replicas are those of the
summed histograms: an average of quantiles would be none.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from service.telemetry.metrics.buffered import BufferedMetric
from service.telemetry.metrics.multiprocess import Matches, all_series
from service.telemetry.metrics.registry import BATCH_SIZES, SECONDS, Metrics
from service.telemetry.metrics.version_series import NONE as NO_VERSION
from service.telemetry.request_record import GONE

_PREDICTION = re.compile("/v1/predict|/v2/.*/infer")


# Counts beyond it are not exact; bounded, so that sums and differences are finite.
Number = Annotated[float, Field(ge=-(2**53), le=2**53)]


def _one_for_each(bounds: Sequence[float]) -> Any:
    """As many numbers as a histogram has buckets, +Inf included."""
    return Field(min_length=len(bounds) + 1, max_length=len(bounds) + 1)


class Snapshot(BaseModel):
    """Counts since the start, and the present levels."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    at: Number = Field(description="seconds, on a clock of the replica")
    requests: Number
    refused: Number = Field(description="requests answered 4xx")
    failed: Number = Field(description="requests answered 5xx")
    shed: Number
    pictures: Number = Field(description="classified images")
    queue: Number = Field(description="images")
    queue_limit: Number
    inflight: Number
    watchers: Number
    seconds: Annotated[list[Number], _one_for_each(SECONDS)]
    sizes: Annotated[list[Number], _one_for_each(BATCH_SIZES)]


class Period(NamedTuple):
    now: Snapshot
    before: Snapshot  # where the rates begin
    long_before: Snapshot  # where quantiles and batches begin


class History:
    """The latest snapshots of a replica."""

    def __init__(self, *, rates: int, quantiles: int) -> None:
        """How many snapshots rates, and quantiles and batches, look back."""
        self._rates = rates
        self._snapshots: deque[Snapshot] = deque(maxlen=quantiles + 1)

    def add(self, now: Snapshot) -> None:
        """If the counts have fallen, begin anew.

        They do after a restart, and when the series of an old version end with their requests.
        """
        if self._snapshots:
            last = self._snapshots[-1]
            if now.at < last.at or sum(now.seconds) < sum(last.seconds):
                self.clear()
        self._snapshots.append(now)

    def clear(self) -> None:
        self._snapshots.clear()

    @property
    def period(self) -> Period:
        """Until the last snapshot; there must be one."""
        snapshots = self._snapshots
        before = snapshots[max(0, len(snapshots) - 1 - self._rates)]
        return Period(snapshots[-1], before, snapshots[0])


class BatchSize(BaseModel):
    most: int | None = Field(
        description="largest number of images of a call in this bucket; null: no upper bound"
    )
    calls: int = Field(description="model calls within quantile_seconds")


class Load(BaseModel):
    seconds: float = Field(
        description="period of the rates: 2, less at first, 0 in the first event"
    )
    quantile_seconds: float = Field(description="period of p50, p99 and batches: 10, less at first")
    requests_per_second: float = Field(description="POST to /v1/predict and to infer under /v2")
    pictures_per_second: float = Field(description="classified images")
    refused_per_second: float = Field(description="of these requests, those answered 4xx")
    failed_per_second: float = Field(description="of these requests, those answered 5xx")
    shed_per_second: float = Field(description="requests refused or dropped to stay responsive")
    p50: float | None = Field(
        description="seconds, of those that a model answered; null: there were none"
    )
    p99: float | None = Field(
        description="seconds, of those that a model answered; null: there were none"
    )
    calls_per_second: float = Field(description="model calls")
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


def load_of(periods: Sequence[Period]) -> Load:
    """Of all these replicas together; each rate has the period of its own replica."""

    def rate(name: str) -> float:
        return _rate(periods, lambda snapshot: getattr(snapshot, name))

    def level(name: str) -> int:
        return int(sum(getattr(period.now, name) for period in periods))

    durations = _since(periods, lambda snapshot: snapshot.seconds)
    return Load(
        seconds=round(max(now.at - before.at for now, before, _ in periods), 3),
        quantile_seconds=round(max(now.at - start.at for now, _, start in periods), 3),
        p50=quantile(0.5, SECONDS, durations),
        p99=quantile(0.99, SECONDS, durations),
        requests_per_second=rate("requests"),
        pictures_per_second=rate("pictures"),
        refused_per_second=rate("refused"),
        failed_per_second=rate("failed"),
        shed_per_second=rate("shed"),
        calls_per_second=_rate(periods, lambda snapshot: sum(snapshot.sizes)),
        queue=level("queue"),
        queue_limit=level("queue_limit"),
        inflight=level("inflight"),
        watchers=level("watchers"),
    )


def batches_of(periods: Sequence[Period]) -> list[BatchSize]:
    calls = _since(periods, lambda snapshot: snapshot.sizes)
    return [
        BatchSize(most=most, calls=each)
        for most, each in zip((*BATCH_SIZES, None), calls, strict=True)
    ]


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


def _rate(periods: Sequence[Period], count: Callable[[Snapshot], float]) -> float:
    """Per second, summed over the replicas."""
    rates = [
        (count(now) - count(before)) / (now.at - before.at)
        for now, before, _ in periods
        if now.at > before.at
    ]
    return round(sum(rates), 3)


def _since(periods: Sequence[Period], counts: Callable[[Snapshot], list[float]]) -> list[int]:
    """Of each bucket, since `long_before`, summed over the replicas."""
    rows = [
        [after - count for after, count in zip(counts(now), counts(start), strict=True)]
        for now, _, start in periods
    ]
    return [int(sum(column)) for column in zip(*rows, strict=True)]


def _of_predictions(route: str, version: str) -> bool:
    """Answered by a model: a refusal takes less time, and many would hide how slow answers are."""
    return version != NO_VERSION and _PREDICTION.fullmatch(route) is not None


def _predicts(route: str, method: str, code: str) -> bool:
    return method == "POST" and _PREDICTION.fullmatch(route) is not None


def _was_refused(route: str, method: str, code: str) -> bool:
    """A client that disconnected was not refused."""
    return code.startswith("4") and code != GONE and _predicts(route, method, code)


def _failed(route: str, method: str, code: str) -> bool:
    return code.startswith("5") and _predicts(route, method, code)
