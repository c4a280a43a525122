"""A job whose version was published already: it is decided on, cancelled or killed at its end."""

import fcntl
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contract.card import ONNX
from tests.retraining.place import Place, Worker
from tests.support.pictures import encoded, seven
from tests.support.program import PATIENCE
from tests.support.running import Service, wait_until
from tests.support.versions import gate
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def place(place: Place, request: pytest.FixtureRequest) -> Place:
    """Its job has trained and published version 2, which is better, or as the parameter says."""
    place.has_published("job", getattr(request, "param", "better"))
    return place


def awaiting_approval(place: Place) -> Worker:
    place.command("submit", "--id", "job", "--activate", "ask")
    worker = place.worker()
    place.wait_for("job", "awaiting_approval")
    return worker


def test_an_approved_version_serves(place: Place) -> None:
    awaiting_approval(place)
    job = place.job("job")
    assert (job.version, job.parent, job.gate) == (2, 1, gate("better"))
    assert place.store.current() == 1
    assert place.command("approve", "job") == 0
    assert "approved by" in (place.wait_for("job", "activated").reason or "")
    assert place.store.current() == 2


def test_a_rejected_version_does_not(place: Place) -> None:
    awaiting_approval(place)
    place.command("reject", "job")
    assert "rejected by" in (place.wait_for("job", "rejected").reason or "")
    assert place.store.current() == 1


def test_a_decision_is_made_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    awaiting_approval(place).stop()
    for _ in range(2):
        assert place.command("approve", "job") == 0
    assert place.command("reject", "job") == 1
    assert "job job was approved before" in capsys.readouterr().err
    place.worker()
    place.wait_for("job", "activated")


@pytest.mark.parametrize("command", ["resume", "approve"])
def test_a_decision_that_failed_goes_on(command: str, place: Place) -> None:
    model = place.store.folder / "2" / ONNX
    whole = model.read_bytes()
    awaiting_approval(place)
    model.write_bytes(b"damaged")
    place.command("approve", "job")
    job = place.wait_for("job", "failed")
    assert (job.resumable, place.store.current()) == (True, 1)
    assert "model.onnx" in (job.reason or "")
    model.write_bytes(whole)
    assert place.command(command, "job") == 0
    assert "approved by" in (place.wait_for("job", "activated").reason or "")
    assert place.store.current() == 2


def test_an_approval_that_failed_can_be_followed_by_a_rejection(place: Place) -> None:
    awaiting_approval(place)
    (place.store.folder / "2" / ONNX).write_bytes(b"damaged")
    place.command("approve", "job")
    place.wait_for("job", "failed")
    assert place.command("reject", "job") == 0
    assert "rejected by" in (place.wait_for("job", "rejected", "failed").reason or "")
    assert place.store.current() == 1


@pytest.mark.parametrize("place", ["worse"], indirect=True)
def test_a_worse_version_is_approved_only_by_force(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    awaiting_approval(place)
    assert place.command("approve", "job") == 1
    refused = capsys.readouterr().err
    assert "worse than 1 in accuracy: It fell from 95% to 90%. --force approves" in refused
    assert place.command("approve", "--force", "job") == 0
    reason = place.wait_for("job", "activated").reason or ""
    assert "although it is worse than version 1: It fell from 95% to 90%." in reason


def test_a_job_that_awaits_approval_is_never_deleted(place: Place) -> None:
    awaiting_approval(place).stop()
    keep_one = (
        "import sys; from retraining import __main__, workflow; workflow.KEPT = 1; "
        "__main__.main(sys.argv[4:])"
    )
    place.start_worker(prefix=[sys.executable, "-c", keep_one])
    for job in ("one", "two", "three"):
        place.has_published(job)
        place.command("submit", "--id", job, "--activate", "never")
        place.wait_for(job, "kept")
    until(lambda: place.command("show", "one") == 1)
    assert place.job("job").state == "awaiting_approval"


@contextmanager
def activating(place: Place) -> Iterator[Worker]:
    """A worker that activates the job's version and gets the store's lock as the block ends."""
    path = place.store.folder / ".lock"
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place.command("submit", "--id", "job", "--activate", "if_better")
        worker = place.worker()
        place.wait_for("job", "activating")
        until(lambda: path in worker.open_files())
        yield worker


def activated_once(place: Place) -> bool:
    return [switch.after for switch in place.store.history()].count(2) == 1


def test_a_job_cancelled_while_it_is_activated_says_what_serves(place: Place) -> None:
    with activating(place) as worker:
        place.command("cancel", "job")
    worker.stop()
    assert "job job: cancelled" in worker.log
    place.worker()
    job = place.wait_for("job", "activated", "cancelled")
    assert place.store.current() == (2 if job.state == "activated" else 1)


def test_a_worker_killed_while_it_activates_leaves_that_to_the_next(place: Place) -> None:
    with activating(place) as worker:
        worker.kill()
    assert place.store.current() == 1
    place.worker()
    place.wait_for("job", "activated")
    assert activated_once(place)


def test_what_a_killed_worker_did_but_did_not_record_is_not_done_again(place: Place) -> None:
    with activating(place) as worker:
        database = sqlite3.connect(place.database, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
    deadline = time.monotonic() + PATIENCE
    while place.store.current() == 1:
        assert time.monotonic() < deadline, worker.log
    worker.kill()
    database.close()
    assert place.job("job").state == "activating"
    place.worker()
    place.wait_for("job", "activated")
    assert activated_once(place)


def test_a_job_goes_on_after_its_worker_and_the_service_were_killed(place: Place) -> None:
    models, url = place.store.folder.parent, place.environment["DIGITSERVE_JOBS"]
    with activating(place) as worker:
        with Service.started(models, jobs=url, watch_seconds=0.2) as service:
            assert served(service) == "1"
            worker.kill()  # and the service, as the block ends
        with Service.started(models, jobs=url, watch_seconds=0.2) as service:
            assert served(service) == "1"
    place.worker()
    with Service.started(models, jobs=url, watch_seconds=0.2) as service:
        wait_until(lambda: served(service) == "2", service)
    place.wait_for("job", "activated")


def served(service: Service) -> str:
    """The version that predicts."""
    with service.client(headers={"Content-Type": "image/png"}) as client:
        answer = client.post("/v1/predict", content=encoded(seven()))
    assert answer.is_success
    version: str = answer.json()["model"]["version"]
    return version
