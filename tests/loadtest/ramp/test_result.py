"""The knee, and whether the SLO holds, as text and as exit code."""

import json
from dataclasses import replace
from pathlib import Path

from loadtest.ramp import report
from loadtest.ramp.result import BROKEN, HOLDS, NOT_MEASURED, Load, Result, Step, steps_of
from loadtest.report.slo import Slo
from tests.loadtest.bench.test_report import CONDITIONS
from tests.loadtest.ramp.history import history

STEPS = steps_of(history((10, 100, 9), (20, 190, 30), (30, 200, 90)), [], Load(0.0, 0.1, 1))


def result(steps: list[Step], *, p99: int, failed: int = 0, refused: int = 0) -> Result:
    stats = [
        {"Name": "png, refused", "Request Count": str(refused)},
        {
            "Name": "Aggregated",
            "Request Count": "1000",
            "Failure Count": str(failed),
            "99%": str(p99),
        },
    ]
    return Result(CONDITIONS, Slo(p99=0.05, errors=0.001), steps, stats, stopped=False)


def test_the_knee_is_the_last_step_that_meets_the_slo() -> None:
    found = result(STEPS, p99=40)
    assert found.knee is STEPS[1]
    assert found.title == (
        "Carries 190 requests a second with 20 users; above that p99 90 ms > 50 ms"
    )
    assert found.verdict[0] == HOLDS
    assert found.verdict[1].startswith("The SLO holds (p99 <= 50 ms, errors <= 0.1 %): p99 40 ms")


def test_no_knee_is_reported_if_all_steps_or_none_meet_the_slo() -> None:
    assert result(STEPS[:2], p99=30).title.startswith("Carries all: 190 requests a second")
    assert result(STEPS[2:], p99=90).title == "30 users are too many: p99 90 ms > 50 ms"


def test_a_p99_of_the_whole_run_above_the_bound_violates_the_slo() -> None:
    code, words = result(STEPS, p99=70).verdict
    assert code == BROKEN
    assert words == (
        "The SLO does not hold: p99 70 ms > 50 ms over the whole run; "
        "worst at 30 users: p99 90 ms > 50 ms"
    )


def test_failed_and_refused_requests_are_errors() -> None:
    for counted in (result(STEPS, p99=9, failed=2), result(STEPS, p99=9, refused=2)):
        code, words = counted.verdict
        assert (code, words) == (
            BROKEN,
            "The SLO does not hold: errors 0.2 % > 0.1 % over the whole run; "
            "worst at 30 users: p99 90 ms > 50 ms",
        )


def test_a_saturated_generator_is_not_attributed_to_the_service() -> None:
    bound = [*STEPS[:2], replace(STEPS[2], generator=0.95)]
    found = result(bound, p99=70)
    assert found.title.endswith("above that, locust was the bottleneck")
    assert found.verdict[0] == NOT_MEASURED
    assert result(bound, p99=70, failed=9).verdict[0] == BROKEN


def test_without_steps_nothing_was_measured() -> None:
    assert result([], p99=1).verdict[0] == NOT_MEASURED


def test_the_report_has_a_row_per_step_the_verdict_and_a_plot(tmp_path: Path) -> None:
    found = result(STEPS, p99=40)
    for text in (report.text(found), report.markdown(found)):
        assert "the knee" in text
        assert "The SLO holds" in text
    assert [line[:3] for line in report.steps(found)][1:] == [
        ("10", "100", "100"), ("20", "200", "190"), ("30", "300", "200"),
    ]  # fmt: skip
    assert "* processor: A Processor" in report.markdown(found)
    summary = json.loads(found.json())
    assert (summary["exit_code"], summary["knee"]["users"]) == (0, 20)
    report.plot(found, tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
