"""Which callers decide that a request is traced, and which headers are ignored."""

import pytest

from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.trace_context import TRACEPARENT, TRACESTATE, merge_trace_headers
from service.telemetry.tracing.exporter import Exporter
from service.telemetry.tracing.tracer import Tracing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def tracing() -> Tracing:
    """Samples no request at random, and exports nothing."""
    settings, metrics = Settings(trace_sample=0, trace_limit=10_000), Metrics()  # type: ignore[call-arg]
    return Tracing(settings, metrics, Exporter("http://127.0.0.1:9", metrics), worker=0)


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # and the trace id is random
        (f"00-{TRACE}-{SPAN}-fe", False),  # undefined flags
        (f"cc-{TRACE}-{SPAN}-01", True),  # of a later version
        (f"cc-{TRACE}-{SPAN}-01-more", True),
    ],
)
def test_the_sampled_flag_of_the_caller_decides(
    tracing: Tracing, traceparent: str, sampled: bool
) -> None:
    trace = tracing.begin({TRACEPARENT: traceparent.encode()})
    assert (trace is not None and trace.name == TRACE) == sampled


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",  # version 00 ends after its flags
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"0-{TRACE}-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
    ],
)
def test_a_malformed_traceparent_is_ignored(tracing: Tracing, traceparent: str) -> None:
    assert tracing.begin({TRACEPARENT: traceparent.encode()}) is None


def test_several_lines_of_tracestate_are_one_list() -> None:
    lines = [(TRACEPARENT, b"mine"), (TRACESTATE, b"a=1"), (b"x", b"y"), (TRACESTATE, b"b=2")]
    assert merge_trace_headers(dict(lines), lines) == {
        TRACEPARENT: b"mine",
        TRACESTATE: b"a=1,b=2",
        b"x": b"y",
    }


def test_several_traceparent_headers_are_ignored() -> None:
    lines = [(TRACEPARENT, b"mine"), (TRACEPARENT, b"mine")]
    assert merge_trace_headers(dict(lines), lines)[TRACEPARENT] == b""
