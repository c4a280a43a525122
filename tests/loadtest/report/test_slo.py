"""Parsing of an SLO from the command line, and its evaluation."""

import math
from argparse import ArgumentTypeError

import pytest

from loadtest.arguments import fraction, seconds
from loadtest.report.slo import Slo


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50ms", 0.05),
        ("0.05s", 0.05),
        ("0.05", 0.05),
        ("800us", 8e-4),
        ("1 s", 1),
        ("2m", 120),
        ("1h30m", 5400),
    ],
)
def test_times_may_have_a_unit(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"), [("0.1%", 0.001), ("0.001", 0.001), ("0", 0), ("100%", 1), ("5 %", 0.05)]
)
def test_shares_may_be_percentages_or_fractions(text: str, value: float) -> None:
    assert fraction(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "ms", "0ms", "-1s", "nan", "inf", "50 minutes", "50%"])
def test_the_error_about_an_invalid_time_has_an_example(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="such as 50ms"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "%", "-1%", "101%", "1.5", "nan", "5ms"])
def test_the_error_about_an_invalid_share_has_an_example(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"such as 0\.1%"):
        fraction(text)


def test_an_slo_holds_up_to_its_bounds_and_violations_are_listed() -> None:
    slo = Slo(p99=0.05, errors=0.001)
    assert slo.holds(p99=0.05, errors=0.001)
    assert slo.broken(p99=0.05, errors=0.001) == []
    assert not slo.holds(p99=0.051, errors=0)
    assert slo.broken(p99=0.0512, errors=0) == ["p99 51.2 ms > 50 ms"]
    assert not slo.holds(p99=0.01, errors=0.01)
    assert slo.broken(p99=math.inf, errors=0.02) == [
        "p99 never > 50 ms",
        "errors 2 % > 0.1 %",
    ]
    assert str(slo) == "p99 <= 50 ms, errors <= 0.1 %"


def test_an_unmeasured_value_does_not_meet_the_slo() -> None:
    assert not Slo().holds(p99=math.nan, errors=0)
    assert not Slo().holds(p99=0.01, errors=math.nan)
