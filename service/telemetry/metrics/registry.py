"""Every metric of the service, defined once, with its unit in its name.

Prefix `digitserve_`, base units, classic histograms. Each `Metrics` has a registry of its own, so
that two services in one process (tests) do not share numbers.

    worker k of N     numbers are kept in the k-th segment of the memory that workers share;
                      the worker that answers a scrape adds up the segments of all
    one process       the only segment is memory of its own

A segment belongs to the slot, not to the process: a replacement worker continues its predecessor's
counters, so they never fall. A StateMetric is what the answering process knows of its own state,
such as the served model; it is replaced as a whole, labels included, and never added up.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, get_args

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as _openmetrics
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import (
    BufferedCounter,
    BufferedGauge,
    BufferedHistogram,
    BufferedMetric,
)
from service.telemetry.metrics.inputs import InputChange, InputMetrics
from service.telemetry.metrics.multiprocess import Matches, SharedNumbers, all_series
from service.telemetry.metrics.shared_memory import SharedMemory, private_memory
from service.telemetry.metrics.version_series import RouteSeries, VersionSeries

# Seconds. An image takes well under a millisecond, the usual buckets from 5 ms would show nothing.
SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
# Seconds until what a request recorded is flushed to shared memory: a killed worker loses no more
# than this, and it bounds the buffers. A flush every 10 ms cost 7 to 10 % of the throughput.
ADD_UP = 0.1
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# How an attempt to serve another version ends: it serves, or the gate that it did not pass.
SwapResult = Literal["swapped", "failed_verify", "failed_load", "failed_golden", "failed_record"]
SWAPS: tuple[SwapResult, ...] = get_args(SwapResult)
CONFIDENCE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)

# Why a prediction is uncertain, in answers and in metrics.
LOW_CONFIDENCE, NOT_ONE_DIGIT = "low_confidence", "not_one_digit"


MetricKind = Literal["counter", "gauge", "histogram"]


class Description(NamedTuple):
    """A metric, for documentation."""

    name: str  # as on /metrics
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...]


class Metrics:
    def __init__(self, memory: SharedMemory | None = None) -> None:
        """`memory` is that of all workers; None: this process is alone."""
        self.described: list[Description] = []  # all metrics but those of other collectors
        self.before_scrape: list[Callable[[], None]] = []
        # Called with the seconds of a request that was answered 5xx.
        self.when_failed: list[Callable[[float], None]] = []
        self._in_flight = 0  # requests
        self._labels: frozenset[str] = frozenset()  # of the model that serves
        self._due = False  # whether a refresh is scheduled
        self._buffered: list[BufferedCounter | BufferedHistogram] = []
        self._registry = registry = CollectorRegistry()
        PlatformCollector(registry=registry)
        if memory is None:
            memory = private_memory()
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)
        self._memory, own = memory, memory.own
        all_buffered: list[BufferedMetric] = []
        self._numbers = SharedNumbers(memory, all_buffered)
        registry.register(self._numbers)

        def describe(name: str, kind: MetricKind, meaning: str, labels: tuple[str, ...]) -> None:
            full = f"digitserve_{name}" + ("_total" if kind == "counter" else "")
            self.described.append(Description(full, kind, meaning, labels))

        def counter(name: str, meaning: str, *labels: str) -> BufferedCounter:
            made = BufferedCounter(f"digitserve_{name}", meaning, labels, memory=own)
            self._buffered.append(made)
            all_buffered.append(made)
            describe(name, "counter", meaning, labels)
            return made

        def gauge(name: str, meaning: str) -> BufferedGauge:
            made = BufferedGauge(f"digitserve_{name}", meaning, memory=own)
            all_buffered.append(made)
            describe(name, "gauge", meaning, ())
            return made

        def histogram(
            name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = SECONDS
        ) -> BufferedHistogram:
            full = f"digitserve_{name}"
            made = BufferedHistogram(full, meaning, labels, buckets=buckets, memory=own)
            self._buffered.append(made)
            all_buffered.append(made)
            describe(name, "histogram", meaning, labels)
            return made

        def fact(
            name: str, meaning: str, *labels: str, kind: type[Family] = GaugeMetricFamily
        ) -> StateMetric:
            counts = kind is CounterMetricFamily
            describe(name, "counter" if counts else "gauge", meaning, labels)
            return StateMetric(kind, f"digitserve_{name}", meaning, labels, registry)

        self.requests = counter("http_requests", "Answered requests", "route", "method", "code")
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "Time from a request's head to the end of its response",
            "route",
            "version",
        )
        self._by_version = VersionSeries(self.request_seconds)
        self.inflight = gauge("inflight_requests", "Requests in progress")
        self.live_watchers = gauge("live_watchers", "Open streams of /v1/live")
        self.decode_seconds = histogram(
            "decode_seconds", "Time to decode an image file and prepare its pixels, per image"
        )
        self.queue_wait_seconds = histogram(
            "queue_wait_seconds", "Time in the batcher's queue, per image"
        )
        self.inference_seconds = histogram(
            "inference_seconds", "Duration of one model call", "provider"
        )
        self.batch_size = histogram("batch_size", "Images in one model call", buckets=BATCH_SIZES)
        self.queue_depth = gauge("queue_depth", "Images in the batcher's queue")
        self.queue_limit = gauge("queue_limit", "Maximum queued images; further requests get 503")
        self.shed = counter("shed", "Requests refused or dropped to stay responsive", "reason")
        self.client_deadlines = counter(
            "client_deadline", "Requests answered 504 at their client's own deadline", "route"
        )
        self.access_refused = counter(
            "access_refused", "Requests without the key or token they need", "reason"
        )
        self.cancelled = counter(
            "cancelled", "Requests whose client disconnected, by stage", "stage"
        )
        self.predictions = counter(
            "predictions",
            "Predictions returned, by label, of 64 characters at most; beyond 100 labels: other",
            "label",
        )
        self.uncertain = counter(
            "predictions_uncertain", "Predictions below the acceptance threshold", "reason"
        )
        for reason in (LOW_CONFIDENCE, NOT_ONE_DIGIT):
            self.uncertain.labels(reason)
        self.confidence = histogram(
            "prediction_confidence", "Probability of the returned label", buckets=CONFIDENCE
        )
        of_bin = "version", "quantity", "bin"
        self._expected_share = fact(
            "expected_share", "Share of the test images in this bin, on the card", *of_bin
        )
        self.inputs = InputMetrics(
            counter("input_images", "Sampled images of requests, by bin of each quantity", *of_bin),
            self._expected_share.set_all,
        )
        self.model_info = fact(
            "model_info", "1 for the served model", "name", "version", "sha256", "provider"
        )
        self.model_swaps = counter(
            "model_swap", "Attempts to serve another version, by result", "result"
        )
        self.model_load_seconds = fact(
            "model_load_seconds", "Verify, load, warm up and prove the model"
        )
        self.provider_fallback = fact(
            "provider_fallback", "1 if another provider serves than the configured one"
        )
        self.engine_fallbacks = counter(
            "engine_fallback",
            "Loaded models that fell back from the configuration, by what",
            "what",
        )
        self.corrections = counter(
            "corrections",
            "Corrections of users: accepted, waiting, known, not_needed or refused",
            "result",
        )
        self.corrections_accepted = fact(
            "corrections_accepted", "Corrections in the folder for the next training"
        )
        self.corrections_waiting = fact(
            "corrections_waiting", "Corrections in the folder that wait for a decision"
        )
        self.spans_exported = counter("spans_exported", "Spans that the collector accepted")
        self.spans_dropped = counter("spans_dropped", "Spans dropped, by reason", "reason")
        self.log_dropped = counter(
            "log_dropped", "Log lines dropped because the reader was too slow"
        )
        self.store_reads_stuck = gauge(
            "store_reads_stuck",
            "Reads of the model store still running after their deadline",
        )
        self.store_sync = counter(
            "store_sync", "Reads of `current` in a bucket: ok, unreachable or denied", "result"
        )
        self.store_last_sync = fact(
            "store_last_sync_timestamp_seconds", "When `current` was read last from a bucket"
        )
        self.native_messages = fact(
            "native_messages",
            "Lines that native libraries wrote to stdout or stderr",
            kind=CounterMetricFamily,
        )
        self.native_dropped = fact(
            "native_dropped",
            "Lines of native libraries omitted from the log",
            kind=CounterMetricFamily,
        )
        self.jobs = fact("jobs", "The newest 100 retraining jobs, by state", "state")
        self.jobs_reachable = fact(
            "jobs_reachable", "1 if the database of retraining jobs can be used, 0 if it cannot"
        )
        self.workers = fact("workers", "Processes that serve")
        self.worker_restarts = fact(
            "worker_restarts",
            "Worker processes started to replace one that ended",
            kind=CounterMetricFamily,
        )
        self._without_room = fact(
            "series_without_room",
            "Series missing here because the memory that workers share is full",
            kind=CounterMetricFamily,
        )

    @property
    def without_room(self) -> tuple[int, list[str]]:
        """Series missing from /metrics: their number, and the names of this worker's first."""
        return self._memory.refused, [*self._memory.own.without_room]

    def input_changes(self) -> list[InputChange]:
        """Of the version that serves, over all workers, as of the last refresh."""
        expected = self.inputs.expected
        return expected.changes(self._numbers.totals(self.inputs.images)) if expected else []

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

    def labels_serve(self, labels: Iterable[str]) -> None:
        """To be called before a model with these labels answers.

        The series of labels end that neither it nor the model before it has: each of many models
        may name others.
        """
        before, self._labels = self._labels, frozenset(labels)
        if before:
            kept = before | self._labels
            self.predictions.forget(lambda label: label not in kept)

    def refresh(self) -> None:
        """Flush all buffers and update what is only looked up, such as a queue's length."""
        self._due = False
        self.inputs.flush()
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

    def requests_end(self, labels: tuple[str, str, str], count: int) -> None:
        """`request_ends`, for `count` requests with the same labels."""
        self._in_flight -= count
        self.requests.record_all([labels] * count)
        if not self._due:
            self._add_up_soon()

    def request_moves(self) -> None:
        """The request will begin again, outside the fast path."""
        self._in_flight -= 1

    def exposition(self, *, openmetrics: bool = False) -> bytes:
        """The text of a scrape."""
        self.refresh()
        text: bytes = (_openmetrics if openmetrics else generate_latest)(self._registry)
        return text

    def sums(self, metric: BufferedMetric, matches: Matches = all_series) -> list[float]:
        """The sums of the matching series over all workers, as of the last refresh."""
        return self._numbers.sums(metric, matches)

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
        self._state: Mapping[tuple[str, ...], float] = {}
        registry.register(self)

    def set(self, value: float, *labels: str) -> None:
        """Replace the value and its labels."""
        self._state = {labels: value}

    def set_all(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Replace all series by these: values by labels."""
        self._state = values

    def collect(self) -> Iterator[Family]:
        family = self._kind(self._name, self._meaning, labels=self._labels)
        for labels, value in self._state.items():
            family.add_metric(labels, value)
        yield family
