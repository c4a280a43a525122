"""What the checker of `make chaos` reports in a history, and what it accepts."""

from dataclasses import replace

import pytest

from tools.chaos.checker import Verdict, judge
from tools.chaos.history import (
    Change,
    Death,
    End,
    Fall,
    Fault,
    History,
    Outcome,
    Probe,
    Request,
    Resources,
)
from tools.chaos.schedule import LANES, schedule

# Version 3 serves, an admin activates 1 from 10 to 11 s, and the store names 2 from 30 s on.
CHANGES = [Change("1", 10, 11, "answered"), Change("2", 30, 30.1, "followed")]
GOOD = Request("png", 20.0, 20.1, "200", process="a", version="1", off=1e-6)


def judged(*requests: Request, **more: object) -> Verdict:
    """The verdict on a history with two processes: a has the id 100, b has 200."""
    history = History("3", requests=[*requests], changes=CHANGES, processes={"a": 100, "b": 200})
    for name, value in more.items():
        setattr(history, name, value)
    return judge(history, request_timeout=3)


def found(*requests: Request, **more: object) -> str:
    """The only finding."""
    (finding,) = judged(*requests, **more).findings
    return finding.what


def lost(outcome: Outcome, at: float = 20.0, **more: object) -> Request:
    return replace(GOOD, began=at, ended=at + 0.1, outcome=outcome, version="", **more)  # type: ignore[arg-type]


KILLED = {
    "faults": [Fault("kill", 20.0, 20.0, pid=100)],
    "deaths": [Death(100, worker=0, at=20.1)],
}


def test_a_clean_history_has_no_finding() -> None:
    during = replace(GOOD, began=10.5, ended=10.6, version="3")  # during the switch
    behind = replace(GOOD, began=31.0, ended=31.1, version="1")  # while the workers follow
    followed = replace(GOOD, began=31.0, ended=31.1, version="2")
    other = replace(GOOD, version="2", asked_for="2")  # whether it is current or not
    verdict = judged(GOOD, during, behind, followed, other)
    assert (verdict.findings, verdict.answered, verdict.lost) == ([], 5, {})


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (replace(GOOD, off=0.07), "png: wrong by 0.0700 for version 1"),
        (replace(GOOD, off=float("nan")), "png: wrong by nan for version 1"),
        (replace(GOOD, answers=2), "png: 2 answers to one request"),
        (replace(GOOD, version="4"), "png: answered by version 4"),
        (replace(GOOD, version="3"), "answered by version 3, which was not current"),
        (replace(GOOD, version="2"), "answered by version 2, which was not current"),
        (replace(GOOD, began=11.1, ended=11.2, version="3"), "by version 3, which was not current"),
        (replace(GOOD, began=45.0, ended=45.1), "answered by version 1, which was not current"),
        (replace(GOOD, version="2", asked_for="3"), "answered by version 2, asked for 3"),
        (replace(GOOD, ended=29.0), "answered only after 9.0 s"),
    ],
)
def test_a_wrong_answer_is_reported(answer: Request, what: str) -> None:
    assert what in found(answer)


@pytest.mark.parametrize("outcome", ["reset", "closed", "silent", "refused", "500", "503", "422"])
def test_a_failure_without_a_fault_is_reported(outcome: Outcome) -> None:
    assert f"png: {outcome} after 0.10 s" in found(lost(outcome))


def test_a_reset_is_explained_only_by_the_death_of_its_worker() -> None:
    verdict = judged(lost("reset"), **KILLED)
    assert (verdict.findings, verdict.lost) == ([], {("reset", "kill: its worker died"): 1})
    assert "reset" in found(lost("reset", process="b"), **KILLED)
    assert "reset" in found(lost("reset", at=25.0), **KILLED)


def test_no_fault_explains_an_internal_error() -> None:
    every = [Fault(kind, 0, 60) for lane in LANES.values() for kind in lane.faults]
    assert "png: 500" in found(lost("500"), faults=every)


def test_overload_explains_503_with_retry_after() -> None:
    flood = [Fault("flood", 19.0, 22.0)]
    assert judged(lost("503"), faults=flood).findings == []
    assert "503 without Retry-After" in found(lost("503", retry_after=False), faults=flood)


def test_a_suspended_worker_may_be_behind_until_it_resumes() -> None:
    stop = [Fault("stop", 29.0, 40.0, pid=100)]
    late = replace(GOOD, began=45.0, ended=45.1)
    assert judged(late, faults=stop).findings == []
    assert "not current" in found(replace(late, began=70.0, ended=70.1), faults=stop)


def test_an_activation_with_unknown_outcome_allows_both_versions() -> None:
    changes = [Change("1", 10, 12, "unknown"), Change("2", 30, 31, "answered")]
    for version in ("1", "3"):
        assert judged(replace(GOOD, version=version), changes=changes).findings == []
        old = replace(GOOD, began=32.0, ended=32.1, version=version)
        assert "not current" in found(old, changes=changes)


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        ({"deaths": [Death(100, 0, 20.0)]}, "worker 0 (process 100) died of no fault"),
        ({"probes": [Probe(20.0, 4.0)]}, "/livez took 4.00 s"),
        ({"falls": [Fall(20.0, "requests", 9, 8)]}, "requests fell from 9 to 8"),
        ({"log": ["Traceback"]}, "in the log: Traceback"),
        ({"recovered": None}, "not all workers serve"),
        ({"end": End("SIGTERM", 6.2, 5.5, 0)}, "SIGTERM: ended after 6.2 s, allowed are 5.5"),
        ({"end": End("SIGINT", 1.0, 4.5, 1)}, "SIGINT: exit code 1"),
        (
            {
                "before": {"worker": Resources(2**27, 30, 8)},
                "after": {"worker": Resources(2**27, 900, 8)},
            },
            "worker: descriptors 30 before and 900 after",
        ),
    ],
)
def test_failures_seen_from_outside_are_reported(seen: dict[str, object], what: str) -> None:
    assert what in found(**seen)


def test_failures_after_the_faults_are_reported() -> None:
    flood = [Fault("flood", 10.0, 19.0)]
    assert "503 after all faults" in found(lost("503"), faults=flood, calm_since=19.5)


def test_a_seed_determines_the_faults() -> None:
    assert schedule(7, 300) == schedule(7, 300) != schedule(8, 300)
    drawn = {each.kind for lane in schedule(7, 600).values() for each in lane}
    assert drawn == {kind for lane in LANES.values() for kind in lane.faults}
