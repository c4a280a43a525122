"""What is remembered of a traced request until it is exported.

    head --Tracing.begin--> Trace ... RequestEvent --Tracing.ended--> TracedRequest --> exporter

A TracedRequest holds only what its spans need: no picture, prediction or secret waits for the
collector. Instants are on time.perf_counter; durations are in seconds.
"""

from typing import Any, NamedTuple

from service.telemetry.trace_context import Parent, new_span_id, new_trace_id


class Trace:
    """That a request is traced was decided when it began, for its answer says so."""

    __slots__ = ("parent", "span_id", "state", "trace_id", "version")

    def __init__(self, parent: Parent | None, state: bytes, version: str) -> None:
        self.trace_id = parent.trace_id if parent is not None else new_trace_id()
        self.span_id = new_span_id()  # of the request
        self.parent = parent
        self.state = state  # the caller's tracestate, which others understand
        self.version = version  # of HTTP

    @property
    def name(self) -> str:
        """The trace's id, as logs and collectors show it."""
        return f"{self.trace_id:032x}"

    @property
    def response(self) -> bytes:
        """What `traceresponse` says of it."""
        return b"00-%032x-%016x-01" % (self.trace_id, self.span_id)


class TracedBatch:
    """A model call, told of once for all the traced requests whose pictures were in it."""

    __slots__ = (
        "is_told", "left", "links", "model", "pictures", "provider", "seconds", "span_id",
        "trace_id",
    )  # fmt: skip

    def __init__(self, run: Any) -> None:  # a Run of BatchPredictions
        readings = run.answers
        self.trace_id, self.span_id = new_trace_id(), new_span_id()
        self.left: float = run.left
        self.seconds: float = run.seconds
        self.pictures = len(readings)
        self.provider: str = readings.model.engine.provider
        self.model: tuple[str, str] = readings.model.card.name, str(readings.model.number)
        self.links: list[tuple[int, int]] = []  # trace and span of each request's `infer`
        self.is_told = False  # to the collector


class TracedInference(NamedTuple):
    """What the pictures of a request went through."""

    decoded: float | None  # seconds; None: they came as pixels
    waited: float
    pictures: int
    call: TracedBatch
    infer_id: int  # of the span that the call links to


class TracedRequest(NamedTuple):
    trace: Trace
    request_id: bytes
    route: str
    method: str
    status: str
    began: float
    seconds: float
    scheme: str
    host: bytes  # as the client wrote it, or the first of it, as of the next
    agent: bytes
    problem: str | None  # title of the error it was answered with
    inside: TracedInference | None  # None: no model answered it

    @property
    def spans(self) -> int:
        if self.inside is None:
            return 1
        return 3 if self.inside.decoded is None else 4
