"""A job passes through the database as JSON, and is shown in the state its workflow is in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contract.card import Check, Gate
from contract.jobs import Job, Request, State, seen

CHECK = Check(name="accuracy", passed=True, candidate=0.99, current=0.98, reason="It rose.")
GATE = Gate(parent=1, verdict="better", images=9, gained=2, lost=1, p_value=1, checks=(CHECK,))


def job(state: State, **facts: Any) -> Job:
    return Job(
        id="j", state=state, request=Request(), model="digits", created=datetime.now(UTC), **facts
    )


def test_a_job_is_read_from_parsed_json_with_its_gate() -> None:
    written = job("kept", gate=GATE)
    assert Job.model_validate(written.model_dump(mode="json")) == written


@pytest.mark.parametrize(
    ("written", "status", "state"),
    [
        ("training", "PENDING", "training"),
        ("training", "CANCELLED", "cancelled"),
        ("training", "ENQUEUED", "queued"),  # again, after its worker ended
        ("queued", "ERROR", "failed"),
        ("awaiting_approval", "SUCCESS", "awaiting_approval"),
        ("activated", "CANCELLED", "activated"),  # the cancellation came too late
    ],
)
def test_a_job_is_in_the_state_that_its_workflow_implies(
    written: State, status: str, state: State
) -> None:
    assert seen(job(written), status).state == state


def test_a_cancelled_job_can_be_resumed() -> None:
    assert seen(job("training"), "CANCELLED").resumable
