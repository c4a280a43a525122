"""A job whose version was published already awaits approval, or is cancelled at the last moment."""

import fcntl

import pytest

from contract.card import Gate
from tests.retraining.place import Place
from tests.support.versions import publish

pytestmark = pytest.mark.slow

CHECK = {"name": "accuracy", "passed": True, "candidate": 0.9, "current": 0.8, "reason": "It rose."}
GATE = Gate.model_validate_json(
    f"""{{"parent": 1, "verdict": "better", "images": 9, "gained": 2, "lost": 1, "p_value": 1,
    "checks": [{CHECK}]}}""".replace("'", '"').replace("True", "true")
)


@pytest.fixture
def place(place: Place) -> Place:
    """Its job has trained and published version 2."""
    folder = place.runs / "job"
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").touch()
    publish(place.store, place.store.open(), job="job", gate=GATE)
    return place


def test_an_approved_version_serves(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "ask")
    place.worker()
    job = place.wait_for("job", "awaiting_approval")
    assert (job.version, job.parent, job.gate) == (2, 1, GATE)
    assert place.store.current() == 1
    assert place.command("approve", "job") == 0
    place.wait_for("job", "activated")
    assert place.store.current() == 2
    assert place.command("reject", "job") == 1


def test_a_rejected_version_does_not(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "ask")
    place.worker()
    place.wait_for("job", "awaiting_approval")
    place.command("reject", "job")
    assert "rejected by" in (place.wait_for("job", "rejected").reason or "")
    assert place.store.current() == 1


def test_a_job_cancelled_while_it_is_activated_says_what_serves(place: Place) -> None:
    with (place.store.folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # so that the activation waits
        place.command("submit", "--id", "job", "--activate", "if_better")
        worker = place.worker()
        place.wait_for("job", "activating")
        place.command("cancel", "job")
    worker.stop()
    place.worker()
    job = place.wait_for("job", "activated", "cancelled")
    assert place.store.current() == (2 if job.state == "activated" else 1)
