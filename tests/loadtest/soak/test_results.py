"""The result of a soak, as an exit code and as text."""

import json
from dataclasses import replace

import pytest

from loadtest.arguments import Think
from loadtest.host.machine import Conditions, Placement
from loadtest.soak import report
from loadtest.soak.results import Results
from loadtest.soak.run import End, Failed, Kind, Outcome, Plan, Switch
from loadtest.soak.trend import HOUR, MB
from tests.loadtest.soak.periods import MINUTE, periods

PLAN = Plan(
    seconds=30 * MINUTE,
    rate=200.0,
    think=Think(0.05, 0.5),
    switch_every=MINUTE,
    versions=2,
    look_every=5.0,
    warm_up=3 * MINUTE,
    model="digits",
    cores=Placement((0,), (1,)),
)


def results(minutes: float = 30, /, leak: float = 0.0, **seen: object) -> Results:
    """A soak without failures, but for `leak`, in bytes per hour, and for fields in `seen`."""
    reported = Conditions.now(command="a test", pinned="", client="locust", model="", settings={})
    found = Outcome(
        seconds=minutes * MINUTE,
        periods=periods(minutes, resident=lambda at: leak * at / HOUR),
        switches=[Switch(MINUTE, "2", 0.030, failed="")],
        kinds=[Kind("POST png", requests=360_000, failures=0)],
    )
    for name, value in seen.items():
        setattr(found, name, value)
    return Results(reported, PLAN, found)


def test_a_successful_soak_reports_the_trend_of_memory() -> None:
    held = results()
    assert (held.code, held.failures) == (0, [])
    assert report.headline(held) == (
        "30 minutes, 360,000 requests, none failed; RSS -0.02 MB/h (-0.13 to +0.08), "
        "indistinguishable from zero"
    )


def test_a_leak_fails_the_soak_and_is_in_the_headline() -> None:
    leaked = results(leak=20 * MB)
    assert leaked.code == 1
    assert report.headline(leaked).startswith(
        "Fails: 30 minutes, 360,000 requests; RSS grows: +20.0 MB/h"
    )


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"failed": [Failed("POST png", "read 3, not 5", 2)]}, "2 x POST png: read 3, not 5"),
        ({"mistakes": [Failed("mistake of a user", "KeyError", 1)]}, "mistake of a user: KeyError"),
        ({"kinds": [Kind("POST png", 9, failures=4)]}, "4 requests more failed in the last sec"),
        ({"kinds": [Kind("POST png, refused", 3, failures=0)]}, "3 requests were refused"),
        ({"errors": ["timed out"] * 2}, "2 observations of the service failed: timed out"),
        ({"switches": [Switch(60.0, "2", 0.1, "answered 409")]}, "version 2 at 60 s: answered 409"),
        ({"end": End.SERVICE_GONE}, "the service was gone after 1800 s"),
    ],
)
def test_a_single_failure_fails_the_soak(seen: dict[str, object], message: str) -> None:
    failed = results(**seen)  # type: ignore[arg-type]
    assert failed.code == 1
    (sentence,) = failed.failures
    assert message in sentence
    for text in (report.plain(failed), report.markdown(failed, "soak.png")):
        assert f"* {sentence}" in text


def test_the_json_file_contains_no_infinity_and_only_existing_bounds() -> None:
    reported = json.loads(results().json(), parse_constant=pytest.fail)["trends"]
    assert (reported["RSS"]["bound_an_hour"], reported["PSS"]["bound_an_hour"]) == (2.0, None)


@pytest.mark.parametrize(("end", "code"), [(End.INTERRUPTED, 130), (End.LOAD_GONE, 2)])
def test_an_incomplete_soak_is_reported(end: End, code: int) -> None:
    ended = results(20, end=end)
    assert ended.code == code
    assert f"Not to its end: {end} after 1200 of 1800 s." in report.plain(ended)


def test_a_short_soak_judges_only_requests_and_states_the_required_time() -> None:
    short = results(10)
    assert short.code == 0
    assert "6 blocks of 120 s after the warm-up of 180 s, 15 minutes" in report.plain(short)
    assert report.headline(short).endswith("too short to judge trends")
    assert results(10, leak=500 * MB).code == 0


def test_users_follow_from_think_times_and_rate() -> None:
    assert replace(PLAN, rate=200, think=Think(0.05, 0.5)).users == 56
    assert replace(PLAN, rate=0.1, think=Think(0, 0)).users == 1
