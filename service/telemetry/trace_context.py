"""The trace of a request, and the headers by which its caller names one (W3C Trace Context).

Nothing is imported here that a service without traces lacks.
"""

from collections.abc import Iterable, Mapping
from typing import Any

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"


class Trace:
    """Whether a request is traced is decided when it begins, for its response names the trace."""

    __slots__ = ("name", "response", "span")

    def __init__(self, span: Any) -> None:  # OpenTelemetry's, of the request
        context = span.get_span_context()
        self.span = span
        self.name = f"{context.trace_id:032x}"  # the trace's id, as logs and collectors show it
        self.response = b"00-%032x-%016x-01" % (context.trace_id, context.span_id)  # traceresponse


def merge_trace_headers(
    headers: Mapping[bytes, bytes], lines: Iterable[tuple[bytes, bytes]]
) -> Mapping[bytes, bytes]:
    """The headers of these lines, repeated ones combined as the specification demands."""
    if TRACEPARENT not in headers:
        return headers
    parents, states = (
        [value for name, value in lines if name == wanted] for wanted in (TRACEPARENT, TRACESTATE)
    )
    parent = parents[0] if len(parents) == 1 else b""
    return {**headers, TRACEPARENT: parent, TRACESTATE: b",".join(states)}
