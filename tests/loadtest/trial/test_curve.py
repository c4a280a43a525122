"""The knee is where throughput leaves what is offered or the SLO is left; a sentence says it."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.trial.curve import BOTTLENECK, Curve
from loadtest.trial.second import Told
from loadtest.trial.step import Step
from tests.loadtest.trial.played import SLO, result, step


def curve(*steps: Step) -> Curve:
    return Curve(list(steps), SLO)


KNEES = {
    "p99 leaves the SLO": (
        curve(step(100), step(200, time=0.02), step(300, time=0.06)),
        200,
        "Carries 800 requests a second; above that p99 leaves 50 ms",
    ),
    "throughput stays behind": (
        curve(step(100), step(200, carried=0.91), step(300, carried=0.85)),
        200,
        "Carries 728 requests a second; above that answers fall behind what is asked",
    ),
    "requests fail": (
        curve(step(100), step(200, errors=0.02)),
        100,
        "Carries 400 requests a second; above that more than 0.1 % fail",
    ),
    "one slow step before the knee": (
        curve(step(100), step(200, time=0.06), step(300), step(400, time=0.06)),
        300,
        "Carries 1,200 requests a second; above that p99 leaves 50 ms",
    ),
    "the most is carried": (
        curve(step(100), step(200)),
        200,
        "Carries all that was asked: 800 requests a second, p99 20 ms",
    ),
    "a spike comes between the others": (
        curve(step(40), step(400, time=0.06), step(40, time=0.011)),
        40,
        "Carries 160 requests a second; above that p99 leaves 50 ms",
    ),
    "nothing is carried": (
        curve(step(100, time=0.06)),
        None,
        "Does not carry 100 users: p99 120 ms > 50 ms",
    ),
    "nothing is answered": (
        curve(replace(step(100), told=Told(failed=9))),
        None,
        "Does not carry 100 users: no right answer",
    ),
    "users never pause, and all are carried": (
        curve(replace(step(100), offered=None)),
        100,
        "Carries 100 users who never pause: 400 requests a second, p99 20 ms",
    ),
    "users hardly pause, and are kept from asking by answers within the SLO": (
        curve(replace(step(100, carried=0.8), offered=100 / 0.02)),
        100,
        "Carries all that was asked: 320 requests a second, p99 20 ms",
    ),
    "users never pause": (
        curve(replace(step(100, carried=0.1), offered=None), replace(step(200, time=0.06))),
        100,
        "Carries 40 requests a second; above that p99 leaves 50 ms",
    ),
    "there is no step": (curve(), None, "Nothing was measured"),
}


@pytest.mark.parametrize(("found", "users", "title"), KNEES.values(), ids=KNEES)
def test_the_knee_is_the_most_users_that_are_carried(
    found: Curve, users: int | None, title: str
) -> None:
    assert (found.knee.users if found.knee else None) == users
    assert found.title == title


def test_a_knee_at_which_the_generator_is_at_its_limit_is_not_the_services() -> None:
    found = curve(step(100), step(200, time=0.06, generator=0.95))
    assert found.title == f"Carries at least 400 requests a second: above that {BOTTLENECK}"
    all_it_has = curve(replace(step(100, generator=0.95), offered=None))
    assert all_it_has.title == f"Carries at least 400 requests a second: {BOTTLENECK}"
    none = curve(step(100, time=0.06, generator=0.95))
    assert none.title.endswith(f": {BOTTLENECK}")


@pytest.mark.parametrize(
    "found",
    [
        curve(step(100), step(200, generator=0.95)),
        curve(step(100), step(200, time=0.06), step(300, time=0.06, generator=0.95)),
        curve(step(100), step(200, errors=0.02, generator=0.95)),
    ],
    ids=["all is carried", "only later at its limit", "the service refuses"],
)
def test_a_generator_that_was_not_in_the_way_is_not_blamed(found: Curve) -> None:
    assert not found.generator_bound
    assert BOTTLENECK not in found.title


def test_a_whole_test_has_its_knee_where_the_service_has(tmp_path: Path) -> None:
    found = result(tmp_path, most=1000).curve
    assert found.knee is not None
    assert (found.knee.users, found.knee.rate) == (250, 1000)
