"""The spans of sampled requests and of the model calls that served them.

    trace of the request                        trace of the model call
      POST /v1/predict  --------------------
        decode  ------
        queue         -----                       batch  ----------
        infer              ---------- <--links-->

    head of a request --begin--> Trace, or None for most
    end of it         --ended--> spans --exporter--> collector

A request's trace may have begun anywhere, so a model call that served eight cannot be the child of
one: it is the root of a trace of its own, linked to the `infer` of each request, and they to it.

Attributes are named by the semantic conventions or begin with digitserve. Traces leave the machine:
they contain no path that the client chose, no address of a client and no key.
"""

import asyncio
import os
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import random
from typing import Any
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.batching.interface import BatchResult
from service.settings import Settings
from service.telemetry.logs.rate_limit import RateLimiter
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Labels, RequestEvent, Timings
from service.telemetry.trace_context import TRACEPARENT, TRACESTATE, Trace
from service.telemetry.tracing.exporter import Exporter

LONGEST = 256  # bytes of a header in which a client describes itself
LONGEST_STATE = 2048  # bytes of a caller's tracestate; a part of it would not be valid
CALLS = 16  # model calls that later responses may still link to
COMPLETE = 1.0  # seconds after its first response until a model call's span is exported
CLOCK_WAS_SET = 1_000_000  # ns

_ROOT = Context()  # a span under it begins a trace, whatever else runs in this thread

Attributes = dict[str, str | int]


class TracedBatch:
    """A model call, whose span collects links until it is exported."""

    def __init__(self, run: BatchResult[Any], span: Span, began: int) -> None:
        self.run = run  # kept, for `id(run)` is its key
        self.span = span
        self.began = began  # ns since 1970
        self.ended = began + round(run.seconds * 1e9)

    def end(self) -> None:
        if self.span.is_recording():
            self.span.end(self.ended)


class Tracing:
    """Everything here is called on the event loop."""

    def __init__(
        self, settings: Settings, metrics: Metrics, exporter: Exporter, worker: int
    ) -> None:
        self._sample = settings.trace_sample
        self._limiter = RateLimiter(settings.trace_limit)
        self._metrics = metrics
        self._exporter = exporter
        self._batches: OrderedDict[int, TracedBatch] = OrderedDict()  # by the id of their run
        self._propagator = TraceContextTextMapPropagator()
        provider = TracerProvider(  # `begin` samples, at no cost for the requests it leaves out
            sampler=ALWAYS_ON, resource=resource_of(worker), shutdown_on_exit=False
        )
        provider.add_span_processor(exporter)
        self._tracer = provider.get_tracer("digitserve")
        self._epoch = 0  # ns since 1970, when perf_counter was 0
        for reason in ("limit", "queue_full", "not_sent"):  # an alert sees an increase from 0
            metrics.spans_dropped.labels(reason)

    def begin(self, headers: Mapping[bytes, bytes], version: str = "1.1") -> Trace | None:
        """The trace of a request that is sampled: by its caller's decision, or by chance."""
        given = headers.get(TRACEPARENT)
        if given is None and random() >= self._sample:  # noqa: S311
            return None
        context = _ROOT
        if given is not None:
            state = headers.get(TRACESTATE, b"")
            carrier = {
                "traceparent": given.decode("latin-1"),
                "tracestate": state.decode("latin-1") if len(state) <= LONGEST_STATE else "",
            }
            context = self._propagator.extract(carrier, context)
            parent = get_current_span(context).get_span_context()
            if not (parent.trace_flags.sampled if parent.is_valid else random() < self._sample):  # noqa: S311
                return None
        # The caller decides, so callers could have every request traced.
        if self._limiter.try_acquire(time.perf_counter()) is None:
            self._metrics.spans_dropped.record(("limit",))
            return None
        self._set_clock()
        span = self._tracer.start_span(
            "",
            context,
            SpanKind.SERVER,
            {"network.protocol.version": version},
            start_time=self._at(time.perf_counter()),
        )
        return Trace(span)

    def ended(self, event: RequestEvent, labels: Labels, seconds: float) -> None:
        """The watcher of finished requests: end the spans of a traced one."""
        trace, timings = event.trace, event.timings
        if trace is None:
            return
        number = timings.version if timings is not None else None
        self._metrics.seconds_of(labels[0])[number].exemplify(seconds, trace.name)
        route, method, status = labels
        span: Span = trace.span
        name = route if route != "other" else ""
        span.update_name(f"{'HTTP' if method == 'other' else method} {name}".rstrip())
        span.set_attributes(attributes_of(event, labels))
        if status >= "500":
            span.set_status(StatusCode.ERROR, event.problem.title if event.problem else None)
        if timings is not None:
            self._stages(timings, set_span_in_context(span, _ROOT))
        span.end(self._at(event.began + seconds))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Export spans meanwhile; at the end wait a little for what has not been sent."""
        self._exporter.start()
        try:
            yield
        finally:
            for batch in self._batches.values():
                batch.end()
            await asyncio.to_thread(self._exporter.stop)

    def _stages(self, timings: Timings, server: Context) -> None:
        batch = self._batch(timings.run)
        queued = batch.began - round(timings.waited * 1e9)
        if timings.decoded is not None:
            decoding = self._tracer.start_span(
                "decode", server, start_time=queued - round(timings.decoded * 1e9)
            )
            decoding.end(queued)
        self._tracer.start_span("queue", server, start_time=queued).end(batch.began)
        infer = self._tracer.start_span(
            "infer",
            server,
            attributes=attributes_of_batch(timings.run),
            links=[Link(batch.span.get_span_context())],
            start_time=batch.began,
        )
        batch.span.add_link(infer.get_span_context())
        infer.end(batch.ended)

    def _batch(self, run: BatchResult[Any]) -> TracedBatch:
        """That of this run, made for the first traced request that was in it."""
        batch = self._batches.get(id(run))
        if batch is None:
            began = self._at(run.started_at)
            span = self._tracer.start_span(
                "batch", _ROOT, attributes=attributes_of_batch(run), start_time=began
            )
            batch = self._batches[id(run)] = TracedBatch(run, span, began)
            asyncio.get_running_loop().call_later(COMPLETE, batch.end)
            if len(self._batches) > CALLS:
                self._batches.popitem(last=False)[1].end()
        return batch

    def _set_clock(self) -> None:
        """Follow a change of the machine's clock, but not its noise: equal instants stay equal."""
        epoch = time.time_ns() - time.perf_counter_ns()
        if abs(epoch - self._epoch) > CLOCK_WAS_SET:
            self._epoch = epoch

    def _at(self, instant: float) -> int:
        """Nanoseconds since 1970 of an instant on perf_counter."""
        return self._epoch + round(instant * 1e9)


def attributes_of(event: RequestEvent, labels: Labels) -> Attributes:
    route, method, status = labels
    attributes: Attributes = {
        "http.request.method": method if method != "other" else "_OTHER",
        "http.response.status_code": int(status),
        "url.scheme": event.scheme,
        "digitserve.request_id": event.request_id.decode(),
    }
    if route != "other":
        attributes["http.route"] = route
        if "{" not in route:  # elsewhere the path was chosen by the client
            attributes["url.path"] = route
    if status >= "500":
        attributes["error.type"] = status
    if event.problem is not None:
        attributes["digitserve.problem"] = event.problem.title
    if event.timings is not None:
        attributes |= _model_of(event.timings.run)
        attributes["digitserve.pictures"] = event.timings.pictures
    address = event.headers.get(b"host", b"")[:LONGEST].decode("latin-1")
    host, _, port = address.rpartition(":")  # [::1]:8000 too
    if host and port.isascii() and port.isdecimal():
        attributes["server.address"], attributes["server.port"] = host, int(port[:5])
    elif address:
        attributes["server.address"] = address
    if agent := event.headers.get(b"user-agent", b"")[:LONGEST]:
        attributes["user_agent.original"] = agent.decode("latin-1")
    return attributes


def attributes_of_batch(run: BatchResult[Any]) -> Attributes:
    return {
        "digitserve.batch.size": len(run.answers),
        "digitserve.provider": run.answers.model.engine.provider,
        **_model_of(run),
    }


def resource_of(worker: int) -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override what stands here."""
    return Resource(
        {
            "service.name": "digitserve",
            "service.instance.id": str(uuid4()),
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            "digitserve.worker": worker,
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
        }
    ).merge(OTELResourceDetector().detect())


def _model_of(run: BatchResult[Any]) -> Attributes:
    model = run.answers.model
    return {
        "digitserve.model.name": model.card.name,
        "digitserve.model.version": str(model.number),
    }
