"""Every number that Prometheus sees, each made here, once, with its unit in its name.

Prefix `digitserve_`, base units, classic histograms. A `Metrics` has a registry of its own, so that
two services in one process (tests) do not add up.

    one process       numbers are kept in memory
    worker k of N     numbers are kept in the k-th segment of the memory that workers share;
                      whichever worker is asked adds up the segments of all

A segment is the slot's, not the process's: the worker that takes a dead one's place goes on with
its counters, so they never fall. Facts (`fact`) are what the process that is asked says for itself.

A number that only the process which is asked knows: the model it serves, not what it counted.

Counted numbers are added up over the workers (see `metrics`). A fact is not: it is set as a whole,
labels included, and the old one is gone, which labels of a gauge in a shared file cannot be.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import (
    BufferedCounter,
    BufferedGauge,
    BufferedHistogram,
    BufferedMetric,
    Exemplars,
    MetricSelector,
)
from service.telemetry.metrics.exposition import Exposition, OpenMetrics
from service.telemetry.metrics.multiprocess import SharedNumbers
from service.telemetry.metrics.shared_memory import SharedMemory
from service.telemetry.metrics.version_series import RouteSeries, VersionSeries

# Seconds. A picture takes well under a millisecond, the usual buckets from 5 ms would show nothing.
SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
# Seconds from a request to its numbers' being added up, in the memory that workers share: what a
# worker that is killed takes with it, and no list grows longer than the load makes it meanwhile.
ADD_UP = 0.01
PICTURES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# How an attempt to serve another version ends: it serves, or the gate that it did not pass.
SwapResult = Literal["swapped", "failed_verify", "failed_load", "failed_golden", "failed_record"]
SWAPS: tuple[SwapResult, ...] = get_args(SwapResult)
CONFIDENCE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


class Metrics:
    def __init__(self, memory: SharedMemory | None = None) -> None:
        """Of the one process, or of a worker whose numbers are in shared memory."""
        self.before_scrape: list[Callable[[], None]] = []
        # Called with the seconds of a request that was answered 5xx.
        self.when_failed: list[Callable[[float], None]] = []
        self._in_flight = 0  # requests
        self._due = False  # whether what was noted will be added up soon
        self._buffered: list[BufferedCounter | BufferedHistogram] = []
        self._memory = memory  # None: this process is alone
        self._shared: SharedNumbers | None = None
        self._registry = registry = CollectorRegistry()
        self._exposition = Exposition(registry)
        self._openmetrics = OpenMetrics(registry, self._exemplars)
        PlatformCollector(registry=registry)
        all_buffered: list[BufferedMetric] = []
        if memory is None:
            own = None
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)
            counted: CollectorRegistry | None = registry
        else:
            own = memory.own
            self._shared = SharedNumbers(memory.segments, all_buffered)
            registry.register(self._shared)
            counted = None  # what the collector above finds in the memory is all there is

        def counter(name: str, meaning: str, *labels: str) -> BufferedCounter:
            name = f"digitserve_{name}"
            made = BufferedCounter(name, meaning, labels, registry=counted, memory=own)
            self._buffered.append(made)
            all_buffered.append(made)
            return made

        def gauge(name: str, meaning: str) -> BufferedGauge:
            made = BufferedGauge(f"digitserve_{name}", meaning, registry=counted, memory=own)
            all_buffered.append(made)
            return made

        def histogram(
            name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = SECONDS
        ) -> BufferedHistogram:
            name = f"digitserve_{name}"
            made = BufferedHistogram(
                name, meaning, labels, registry=counted, buckets=buckets, memory=own
            )
            self._buffered.append(made)
            all_buffered.append(made)
            return made

        def fact(
            name: str, meaning: str, *labels: str, kind: type[Family] = GaugeMetricFamily
        ) -> StateMetric:
            return StateMetric(kind, f"digitserve_{name}", meaning, labels, registry)

        self.requests = counter("http_requests", "Answered requests", "route", "method", "code")
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "From a request's head to its answer's end",
            "route",
            "version",
        )
        self._by_version = VersionSeries(self.request_seconds)
        self.inflight = gauge("inflight_requests", "Requests being worked on")
        self.live_watchers = gauge("live_watchers", "Streams of /v1/live that are open")
        self.decode_seconds = histogram("decode_seconds", "Picture file to 28x28 pixels, a picture")
        self.queue_wait_seconds = histogram(
            "queue_wait_seconds", "In the batcher's queue, a picture"
        )
        self.inference_seconds = histogram("inference_seconds", "One model call", "provider")
        self.batch_size = histogram("batch_size", "Pictures of one model call", buckets=PICTURES)
        self.queue_depth = gauge("queue_depth", "Pictures waiting for the model")
        self.queue_limit = gauge("queue_limit", "Pictures that may wait; one more is answered 503")
        self.shed = counter("shed", "Requests refused or given up on to stay responsive", "reason")
        self.client_deadlines = counter(
            "client_deadline", "Requests answered 504 at a deadline of their client's own", "route"
        )
        self.access_refused = counter(
            "access_refused", "Requests without the key or token they need", "reason"
        )
        self.cancelled = counter(
            "cancelled", "Requests whose client hung up, by where they were", "stage"
        )
        self.predictions = counter("predictions", "Answers given", "label")
        self.uncertain = counter("predictions_uncertain", "Answers below the threshold")
        self.confidence = histogram(
            "prediction_confidence", "Probability of the answer given", buckets=CONFIDENCE
        )
        self.model_info = fact(
            "model_info", "1 for the served model", "name", "version", "sha256", "provider"
        )
        self.model_swaps = counter(
            "model_swap", "Attempts to serve another version, by how they ended", "result"
        )
        self.model_load_seconds = fact(
            "model_load_seconds", "Verify, load, warm up and prove the model"
        )
        self.provider_fallback = fact(
            "provider_fallback", "1 if another provider serves than the one asked for"
        )
        self.engine_fallbacks = counter(
            "engine_fallback", "Models that serve otherwise than was asked, by what of them", "what"
        )
        self.spans_exported = counter("spans_exported", "Spans that the collector took")
        self.spans_dropped = counter(
            "spans_dropped", "Spans that no collector has, by what was in the way", "reason"
        )
        self.log_dropped = counter("log_dropped", "Lines of the log that nobody took in time")
        self.store_reads_stuck = gauge(
            "store_reads_stuck",
            "Reads of the model store that did not end by their deadline and go on",
        )
        self.native_messages = fact(
            "native_messages",
            "Lines that native libraries wrote to stdout or stderr",
            kind=CounterMetricFamily,
        )
        self.native_dropped = fact(
            "native_dropped",
            "Lines of native libraries that the log left out",
            kind=CounterMetricFamily,
        )
        self.workers = fact("workers", "Processes that serve")
        self.worker_restarts = fact(
            "worker_restarts",
            "Processes that took the place of one that ended",
            kind=CounterMetricFamily,
        )
        self._without_room = fact(
            "series_without_room",
            "Series that found no room in the memory that workers share, and are not told",
            kind=CounterMetricFamily,
        )

    @property
    def without_room(self) -> tuple[int, list[str]]:
        """Series that are not told: how many, of all workers, and the first of this one's."""
        if self._memory is None or self._memory.own is None:
            return 0, []
        return self._memory.refused, [*self._memory.own.without_room]

    def count_native(self, messages: int, dropped: int) -> None:
        """Lines until now, of all processes of the service."""
        self.native_messages.set(messages)
        self.native_dropped.set(dropped)

    def also(self, collector: Collector) -> None:
        """Expose what something else collects."""
        self._registry.register(collector)

    def seconds_of(self, route: str, *, predicts: bool = False) -> RouteSeries:
        """The series of request_seconds of a route, by the number of the version that answered."""
        return self._by_version.of(route, predicts=predicts)

    def version_serves(self, number: int) -> None:
        """To be called before it answers, on the event loop."""
        self._by_version.serves(number)

    def refresh(self) -> None:
        """Add up what was noted, and look up what nobody counts, as the length of a queue."""
        self._due = False
        for metric in self._buffered:
            metric.flush()
        self.inflight.set(self._in_flight)
        self._without_room.set(self.without_room[0])
        for look_up in self.before_scrape:
            look_up()

    def request_begins(self) -> None:
        self._in_flight += 1
        if not self._due:
            self._add_up_soon()

    def request_ends(self, labels: tuple[str, str, str]) -> None:
        """`labels` are those of http_requests_total."""
        self._in_flight -= 1
        self.requests.record(labels)
        if not self._due:
            self._add_up_soon()

    def request_moves(self) -> None:
        """It will begin again, by another way."""
        self._in_flight -= 1

    def exposition(self, *, openmetrics: bool = False) -> bytes:
        """What a scrape reads, as it is now."""
        self.refresh()
        return (self._openmetrics if openmetrics else self._exposition).text()

    def sums(self, *chosen: MetricSelector) -> list[list[float]]:
        """What of each is counted by now, by all workers."""
        self.refresh()
        if self._shared is not None:
            return self._shared.sums(chosen)
        return [each.sums() for each in chosen]

    def _exemplars(self) -> dict[str, Exemplars]:
        """By family; only this process's."""
        (family,) = self.request_seconds.describe()
        return {family.name: self.request_seconds.exemplars()}

    def _add_up_soon(self) -> None:
        self._due = True
        asyncio.get_running_loop().call_later(ADD_UP, self.refresh)


Family = GaugeMetricFamily | CounterMetricFamily


class StateMetric(Collector):
    def __init__(
        self,
        kind: type[Family],
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        registry: CollectorRegistry,
    ) -> None:
        self._kind = kind
        self._name, self._meaning, self._labels = name, meaning, labels
        self._said: tuple[float, tuple[str, ...]] | None = None
        registry.register(self)

    def set(self, value: float, *labels: str) -> None:
        """Say this in place of what was said before."""
        self._said = value, labels

    def collect(self) -> Iterator[Family]:
        family = self._kind(self._name, self._meaning, labels=self._labels)
        if self._said is not None:
            value, labels = self._said
            family.add_metric(labels, value)
        yield family
