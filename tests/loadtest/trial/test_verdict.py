"""The exit code is whether the SLO holds, or that it could not be measured."""

from pathlib import Path

import pytest

from loadtest.trial.curve import BOTTLENECK, Curve
from loadtest.trial.second import Told
from loadtest.trial.step import Step
from loadtest.trial.verdict import BROKEN, HOLDS, NOT_MEASURED, Verdict, verdict
from tests.loadtest.trial.played import SLO, result, step, told


def of(*steps: Step, shape: str = "steps", between: Told | None = None) -> Verdict:
    whole = Told.together([each.told for each in steps] + ([between] if between else []))
    return verdict(Curve(list(steps), SLO), whole, shape)


def test_it_holds_if_all_of_the_run_keeps_it() -> None:
    found = of(step(100), step(200))
    assert found.code == HOLDS
    assert found.words == (
        "The SLO holds (p99 <= 50 ms, errors <= 0.1 %): p99 20 ms, errors 0 % over the whole run"
    )


def test_it_says_by_how_much_and_where_it_does_not() -> None:
    found = of(step(100), step(200, time=0.06))
    assert found.code == BROKEN
    assert found.words == (
        "The SLO does not hold: p99 120 ms > 50 ms over the whole run; "
        "worst at 200 users: p99 120 ms > 50 ms"
    )


def test_failures_and_refusals_are_errors_also_between_the_steps() -> None:
    failed = of(step(100), between=Told(failed=40))
    refused = of(step(100), between=Told(refused=40))
    assert failed == refused
    assert failed.code == BROKEN
    assert "errors 0.99 % > 0.1 %" in failed.words
    assert "in no step: between them, when users came" in failed.words


@pytest.mark.parametrize(("shape", "code"), [("steps", HOLDS), ("spike", BROKEN)])
def test_slow_answers_while_users_come_count_only_where_they_come_suddenly(
    shape: str, code: int
) -> None:
    assert of(step(100), shape=shape, between=told(1000, 0.3)).code == code


def test_a_ramp_is_meant_to_break_it_and_must_have_kept_it_before() -> None:
    found = of(step(100), step(200), step(300, time=0.06), shape="ramp")
    assert found.code == HOLDS
    assert found.words.endswith("up to 200 users, 800 requests a second")
    assert of(step(100, time=0.06), shape="ramp").code == BROKEN


def test_a_p99_that_is_the_generators_own_is_not_measured() -> None:
    found = of(step(100), step(200, time=0.06, generator=0.95))
    assert found.code == NOT_MEASURED
    assert found.words.endswith(BOTTLENECK)


def test_errors_are_the_services_whatever_the_generator_does() -> None:
    assert of(step(100), step(200, errors=0.02, generator=0.95)).code == BROKEN
    slow_before = of(step(100, time=0.06), step(200, time=0.06, generator=0.95))
    assert slow_before.code == BROKEN


def test_without_an_answer_or_a_step_it_is_told() -> None:
    assert of().code == NOT_MEASURED
    nobody = step(100, carried=0.0)
    found = of(nobody, between=Told(failed=7))
    assert (found.code, found.words[:38]) == (BROKEN, "The SLO does not hold: no right answer")


def test_a_whole_test_is_judged(tmp_path: Path) -> None:
    assert result(tmp_path, most=3000).verdict.code == HOLDS
    assert result(tmp_path, most=1000).verdict.code == BROKEN
    assert result(tmp_path, most=1000, generator=1e-3, refuses=False).verdict.code == NOT_MEASURED
    assert result(tmp_path, most=1000, shape="ramp").verdict.code == HOLDS
