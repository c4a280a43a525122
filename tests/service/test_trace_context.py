"""What a caller may say of its trace, and what is as good as not said."""

import pytest

from service.telemetry.trace_context import (
    TRACEPARENT,
    TRACESTATE,
    Parent,
    merge_trace_headers,
    parent_of,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("said", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # and its id is random
        (f"00-{TRACE}-{SPAN}-fe", False),  # flags that nobody has given a meaning
        (f"cc-{TRACE}-{SPAN}-01", True),  # of a later version
        (f"cc-{TRACE}-{SPAN}-01-more", True),
    ],
)
def test_a_caller_says_which_trace_it_is_and_if_it_is_sampled(said: str, sampled: bool) -> None:
    assert parent_of(said.encode()) == Parent(int(TRACE, 16), int(SPAN, 16), sampled)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",  # version 00 ends with its flags
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
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00_{TRACE}_{SPAN}_01",
    ],
)
def test_what_is_not_written_as_specified_says_nothing(said: str) -> None:
    assert parent_of(said.encode()) is None


def test_several_lines_of_tracestate_are_one_list() -> None:
    lines = [(TRACEPARENT, b"mine"), (TRACESTATE, b"a=1"), (b"x", b"y"), (TRACESTATE, b"b=2")]
    assert merge_trace_headers(dict(lines), lines) == {
        TRACEPARENT: b"mine",
        TRACESTATE: b"a=1,b=2",
        b"x": b"y",
    }


def test_of_several_parents_none_is_believed() -> None:
    lines = [(TRACEPARENT, b"mine"), (TRACEPARENT, b"mine")]
    assert merge_trace_headers(dict(lines), lines)[TRACEPARENT] == b""
