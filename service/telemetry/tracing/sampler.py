"""OpenTelemetry traces: which requests are traced, and the way of what they tell to a collector.

    head of a request --begin--> Trace, or None for most
    end of it         --ended--> TracedRequest --bounded queue--> exporter thread

The event loop decides and remembers, 4 us of a traced request; spans are made and sent elsewhere.
Nothing here waits for the collector: what it does not take is dropped and counted. All of it is
made only if DIGITSERVE_OTLP_ENDPOINT is set, and only then are OpenTelemetry's packages imported.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from service.errors import CannotStart
from service.settings import Settings
from service.telemetry.logs.rate_limit import RateLimiter
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Labels, RequestEvent, Timings
from service.telemetry.trace_context import TRACEPARENT, TRACESTATE, new_span_id, parent_of
from service.telemetry.tracing.records import Trace, TracedBatch, TracedInference, TracedRequest
from service.telemetry.tracing.spans import LONGEST

if TYPE_CHECKING:
    from service.telemetry.tracing.exporter import Collector

WAITING = 1024  # requests that may wait to be sent, of some 2 kB each
LONGEST_STATE = 2048  # bytes of a caller's tracestate; a part of it would not be valid
CALLS = 16  # model calls whose requests are still being told; answers to large ones come later


class Tracing:
    def __init__(self, settings: Settings, metrics: Metrics, collector: "Collector") -> None:
        self._sample = settings.trace_sample
        self._allowance = RateLimiter(settings.trace_limit)
        self._metrics = metrics
        self._collector = collector
        self._calls: OrderedDict[int, tuple[Any, TracedBatch]] = (
            OrderedDict()
        )  # by the id of their Run
        for reason in ("limit", "queue_full", "not_sent"):  # an alert sees an increase from 0
            metrics.spans_dropped.labels(reason)

    def begin(self, headers: Mapping[bytes, bytes], version: str = "1.1") -> Trace | None:
        """The trace of a request, if it is to have one: its caller decides, or chance."""
        given = headers.get(TRACEPARENT)
        parent = parent_of(given) if given is not None else None
        if not (parent.sampled if parent is not None else random() < self._sample):  # noqa: S311
            return None
        # Whoever asks could ask for a trace each time.
        if self._allowance.try_acquire(perf_counter()) is None:
            self._metrics.spans_dropped.record(("limit",))
            return None
        state = headers.get(TRACESTATE, b"") if parent is not None else b""
        return Trace(parent, state if len(state) <= LONGEST_STATE else b"", version)

    def ended(self, ended: RequestEvent, labels: Labels, seconds: float) -> None:
        """Remember a traced request for the collector; what every watcher is told."""
        trace = ended.trace
        if trace is None:
            return
        timings = ended.timings
        version = timings.version if timings is not None else None
        self._metrics.seconds_of(labels[0])[version].exemplify(seconds, trace.name)
        story = TracedRequest(
            trace, ended.request_id, *labels, ended.began, seconds, ended.scheme,
            ended.headers.get(b"host", b"")[:LONGEST],
            ended.headers.get(b"user-agent", b"")[:LONGEST],
            ended.problem.title if ended.problem is not None else None,
            self._inside(trace, timings) if timings is not None else None,
        )  # fmt: skip
        if len(self._collector.waiting) < WAITING:
            self._collector.waiting.append(story)
        else:
            self._metrics.spans_dropped.record_all([("queue_full",)] * story.spans)

    def _inside(self, trace: Trace, timings: Timings) -> TracedInference:
        infer_id = new_span_id()
        call = self._call(timings.run)
        call.links.append((trace.trace_id, infer_id))
        return TracedInference(timings.decoded, timings.waited, timings.pictures, call, infer_id)

    def _call(self, run: Any) -> TracedBatch:
        """The one of this run, made for the first traced request that was in it."""
        known = self._calls.get(id(run))
        if known is not None:
            return known[1]
        call = TracedBatch(run)
        self._calls[id(run)] = run, call  # the run too, or another might get its id
        if len(self._calls) > CALLS:
            self._calls.popitem(last=False)
        return call

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what is remembered; at the end wait a little for what has not been sent."""
        self._collector.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._collector.stop)


def tracing_of(settings: Settings, metrics: Metrics, worker: int = 0) -> Tracing | None:
    """None unless traces are asked for; CannotStart if they are and cannot be made."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from service.telemetry.tracing.exporter import Collector
    except ImportError as error:
        raise CannotStart(
            f"DIGITSERVE_OTLP_ENDPOINT asks for traces, and their packages are missing ({error}): "
            "pip install --constraint constraints.txt --group tracing, or unset it"
        ) from error
    return Tracing(settings, metrics, Collector(settings.otlp_endpoint, metrics, worker))
