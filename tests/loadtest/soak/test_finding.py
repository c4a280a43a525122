"""Growth is found and named; values that settle, step once or fall are not reported."""

import math
from collections.abc import Callable

import pytest

from loadtest.soak.trend import HOUR, MB, Finding, findings
from tests.loadtest.soak.periods import MINUTE, periods


def found(minutes: float = 30, /, **grown: Callable[[float], float]) -> dict[str, Finding]:
    seen = periods(minutes, **grown)
    reported = findings(seen, after=3 * MINUTE, until=minutes * MINUTE, block=2 * MINUTE)
    return {each.quantity.name: each for each in reported}


def test_a_service_with_only_noise_grows_in_nothing() -> None:
    reported = found()
    assert not any(each.grows for each in reported.values())
    assert reported["RSS"].words == "indistinguishable from zero"
    assert reported["threads"].slope == "+0.00/h (+0.00 to +0.00)"


@pytest.mark.parametrize(
    ("name", "field", "an_hour"),
    [
        ("RSS", "resident", 10 * MB),
        ("descriptors", "descriptors", 60),  # one per switch
        ("threads", "threads", 60),
        ("p99", "p99", 0.040),
    ],
)
def test_a_leak_is_found_and_named(name: str, field: str, an_hour: float) -> None:
    reported = found(**{field: lambda at: an_hour * at / HOUR})
    assert [each.quantity.name for each in reported.values() if each.grows] == [name]
    assert reported[name].words == "grows"


def test_memory_is_reported_in_megabytes_per_hour() -> None:
    reported = found(resident=lambda at: 12 * MB * at / HOUR)["RSS"]
    assert reported.slope.startswith("+12.0 MB/h (+11.9 to +12.")
    assert reported.trend is not None
    assert reported.trend.slope * HOUR == pytest.approx(12, abs=0.5)


def test_insignificant_growth_is_reported_but_no_failure() -> None:
    reported = found(descriptors=lambda at: 8 * at / HOUR)["descriptors"]
    assert reported.words == "grows by less than matters"
    assert not reported.grows


def test_a_decrease_is_not_growth() -> None:
    assert found(resident=lambda at: -20 * MB * at / HOUR)["RSS"].words == "falls"


def test_one_more_thread_is_not_a_trend() -> None:
    assert not found(threads=lambda at: float(at > 900))["threads"].grows


def test_other_programs_do_not_count_as_growth_of_the_service() -> None:
    reported = found(proportional=lambda at: 20 * MB * at / HOUR)["PSS"]
    assert not reported.grows
    assert "other programs" in reported.words


def test_memory_that_settles_after_the_start_does_not_fail_a_short_soak() -> None:
    """0.23 MB per factor of 2.7 in duration, as measured on this machine."""
    seen = periods(3, resident=lambda at: 0.23 * MB * math.log(at))
    reported = findings(seen, after=20, until=180, block=10)[0]
    assert reported.trend is not None
    assert not reported.grows


def test_a_large_leak_is_found_in_a_short_soak() -> None:
    seen = periods(3, resident=lambda at: 300 * MB * at / HOUR)
    assert findings(seen, after=20, until=180, block=10)[0].grows


def test_a_soak_that_is_too_short_is_not_judged() -> None:
    reported = found(10)["RSS"]
    assert reported.trend is None
    assert (reported.slope, reported.words) == ("not judged", "not judged: fewer than 6 blocks")
    assert not reported.grows
