"""W3C Trace Context: whose trace a request belongs to, as its caller says in `traceparent`.

    traceparent: 00-<32 hex digits: trace>-<16: the caller's span>-<2: flags, 01 is sampled>

What is not written so is as good as not sent, says the specification: the request then begins a
trace of its own. Nothing is imported here that a service without traces lacks.
"""

import re
from collections.abc import Iterable, Mapping
from random import getrandbits
from typing import NamedTuple

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
# Versions after 00 may append something behind one more dash; ff will never be one.
_PARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 1


class Parent(NamedTuple):
    """The caller's span."""

    trace_id: int
    span_id: int
    sampled: bool


def parent_of(traceparent: bytes) -> Parent | None:
    found = _PARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"00" and more is not None:
        return None
    return Parent(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED))


def merge_trace_headers(
    headers: Mapping[bytes, bytes], lines: Iterable[tuple[bytes, bytes]]
) -> Mapping[bytes, bytes]:
    """The headers of these lines, as the specification reads two of the same name."""
    if TRACEPARENT not in headers:
        return headers
    parents, states = (
        [value for name, value in lines if name == wanted] for wanted in (TRACEPARENT, TRACESTATE)
    )
    parent = parents[0] if len(parents) == 1 else b""
    return {**headers, TRACEPARENT: parent, TRACESTATE: b",".join(states)}


def new_trace_id() -> int:
    return getrandbits(128) or 1  # an id must be unique, not secret, and never 0


def new_span_id() -> int:
    return getrandbits(64) or 1
