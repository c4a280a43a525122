"""What OpenTelemetry is told of a request that is over, and of a model call.

    trace of the request                        trace of the model call
      POST /v1/predict  --------------------
        decode  ------
        queue         -----                       batch  ----------
        infer              ---------- <--links-->

A request's trace may have begun anywhere, so a model call that served eight cannot be the child of
one: it is the root of a trace of its own, linked to the `infer` of each request, and they to it.
Names of attributes are those of the semantic conventions, or begin with digitserve.

Spans are made by the SDK's tracer, after the fact: with times and ids that are known already.

What spans say of a request and of a model call.

Names are those of OpenTelemetry's semantic conventions, or begin with digitserve. No path that is
the client's own, no address of a client, no key: traces leave the machine.
"""

import os
import socket
import time
from collections.abc import Mapping
from uuid import uuid4

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
)

from service.telemetry.trace_context import new_span_id
from service.telemetry.tracing.records import TracedBatch, TracedInference, TracedRequest

LONGEST = 256  # bytes that are remembered of each thing a client says of itself

Attributes = Mapping[str, str | int]


def attributes_of(story: TracedRequest) -> Attributes:
    known = story.method != "other"
    attributes: dict[str, str | int] = {
        "http.request.method": story.method if known else "_OTHER",
        "http.response.status_code": int(story.status),
        "url.scheme": story.scheme,
        "network.protocol.version": story.trace.version,
        "digitserve.request_id": story.request_id.decode(),
    }
    if story.route != "other":
        attributes["http.route"] = story.route
        if "{" not in story.route:  # elsewhere the path is the client's, and not told
            attributes["url.path"] = story.route
    if story.status >= "500":
        attributes["error.type"] = story.status
    if story.problem is not None:
        attributes["digitserve.problem"] = story.problem
    if story.inside is not None:
        name, version = story.inside.call.model
        attributes["digitserve.model.name"] = name
        attributes["digitserve.model.version"] = version
        attributes["digitserve.pictures"] = story.inside.pictures
    return attributes | _told_by_the_client(story)


def _told_by_the_client(story: TracedRequest) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {}
    address = story.host.decode("latin-1")
    host, _, port = address.rpartition(":")  # [::1]:8000 too
    if host and port.isascii() and port.isdecimal():
        attributes["server.address"], attributes["server.port"] = host, int(port[:5])
    elif address:
        attributes["server.address"] = address
    if story.agent:
        attributes["user_agent.original"] = story.agent.decode("latin-1")
    return attributes


def attributes_of_call(call: TracedBatch) -> Attributes:
    name, version = call.model
    return {
        "digitserve.batch.size": call.pictures,
        "digitserve.provider": call.provider,
        "digitserve.model.name": name,
        "digitserve.model.version": version,
    }


SAMPLED = TraceFlags(TraceFlags.SAMPLED)
CLOCK_WAS_SET = 1_000_000  # ns
NONE = SpanContext(0, 0, is_remote=False)


class Spans:
    def __init__(self, worker: int) -> None:
        self._ids = _Given()
        self._made: list[ReadableSpan] = []
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # `tracing` decided
            resource=resource_of(worker),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(_Kept(self._made))
        self._tracer = provider.get_tracer("digitserve")
        self._epoch = 0  # ns since 1970, when perf_counter was 0
        self.set_clock()

    def set_clock(self) -> None:
        """Follow the machine's, if it was set; not its noise, so that what was at once stays so."""
        epoch = time.time_ns() - time.perf_counter_ns()
        if abs(epoch - self._epoch) > CLOCK_WAS_SET:
            self._epoch = epoch

    def of(self, story: TracedRequest) -> list[ReadableSpan]:
        trace, parent = story.trace, NONE
        if trace.parent is not None:
            state = TraceState.from_header([trace.state.decode("latin-1")])
            parent = SpanContext(trace.trace_id, trace.parent.span_id, True, SAMPLED, state)
        attributes = attributes_of(story)
        name = story.route if story.route != "other" else ""
        method = "HTTP" if story.method == "other" else story.method
        self._ids.give(trace.trace_id, trace.span_id)
        server = self._tracer.start_span(
            f"{method} {name}".rstrip(),
            _under(parent),
            SpanKind.SERVER,
            attributes,
            start_time=self._at(story.began),
        )
        if story.status >= "500":
            server.set_status(otel.StatusCode.ERROR, story.problem)
        if story.inside is not None:
            self._tell_inside(story.inside, server.get_span_context())
        server.end(self._at(story.began + story.seconds))
        return self._taken()

    def _tell_inside(self, inside: TracedInference, server: SpanContext) -> None:
        call = inside.call
        left = call.left
        queued = left - inside.waited
        if inside.decoded is not None:
            self._tell("decode", server, queued - inside.decoded, queued)
        self._tell("queue", server, queued, left)
        self._ids.give(0, inside.infer_id)
        link = Link(SpanContext(call.trace_id, call.span_id, False, SAMPLED))
        self._tell("infer", server, left, left + call.seconds, attributes_of_call(call), [link])

    def of_call(self, call: TracedBatch) -> list[ReadableSpan]:
        links = [Link(SpanContext(*ids, False, SAMPLED)) for ids in call.links]
        left = call.left
        self._ids.give(call.trace_id, call.span_id)
        self._tell("batch", NONE, left, left + call.seconds, attributes_of_call(call), links)
        return self._taken()

    def _tell(
        self,
        name: str,
        parent: SpanContext,
        began: float,
        ended: float,
        attributes: Attributes | None = None,
        links: list[Link] | None = None,
    ) -> None:
        span = self._tracer.start_span(
            name,
            _under(parent),
            attributes=attributes,
            links=links,
            start_time=self._at(began),
        )
        span.end(self._at(ended))

    def _at(self, instant: float) -> int:
        """Nanoseconds since 1970 of an instant on perf_counter."""
        return self._epoch + round(instant * 1e9)

    def _taken(self) -> list[ReadableSpan]:
        made = self._made.copy()
        self._made.clear()
        return made


def resource_of(worker: int) -> Resource:
    """Who tells, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES says it otherwise."""
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


def _under(parent: SpanContext) -> Context:
    """NONE makes a root, whatever else goes on in this thread."""
    return otel.set_span_in_context(NonRecordingSpan(parent), Context())


class _Given(IdGenerator):
    """Ids that were told to others before the span was made."""

    def __init__(self) -> None:
        self._trace_id = self._span_id = 0

    def give(self, trace_id: int, span_id: int) -> None:
        self._trace_id, self._span_id = trace_id, span_id

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        given, self._span_id = self._span_id, 0
        return given or new_span_id()

    def is_trace_id_random(self) -> bool:
        return True


class _Kept(SpanProcessor):
    """Where ended spans go."""

    def __init__(self, made: list[ReadableSpan]) -> None:
        self._made = made

    def on_end(self, span: ReadableSpan) -> None:
        self._made.append(span)
