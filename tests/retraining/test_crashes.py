"""A job ends as if nothing had happened, whatever kills its worker.

Its version is worse by its verdict: its data are not those of version 1.
"""

import json

import pytest

from tests.retraining.place import SMALL, Place

pytestmark = pytest.mark.slow


def test_a_job_goes_on_after_its_worker_was_killed_in_each_step(place: Place) -> None:
    place.command("submit", "--id", "job", *SMALL)
    states = ("training", "exporting", "judging", "awaiting_approval")
    for step in ("training", "exporting", "judging"):
        worker = place.worker()
        place.wait_for("job", *states[states.index(step) :])
        worker.kill()
    worker = place.worker()
    job = place.wait_for("job", "awaiting_approval")
    assert worker.stop() == 0
    assert (job.version, job.parent) == (2, 1)
    assert place.store.versions() == [1, 2]  # published once
    epochs = (place.runs / "job/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in epochs] == [1, 2, 3]  # trained once


def test_a_stopped_worker_hands_its_training_to_another(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    first = place.worker("first")
    place.wait_for("job", "training", progress=...)
    assert first.stop() == 0
    assert place.job("job").state == "queued"
    place.worker("second")
    job = place.wait_for("job", "kept")
    assert job.worker == "second"
    assert "Resuming" in (place.runs / "job/log.txt").read_text()


def test_a_job_of_a_machine_that_never_comes_back_is_recovered(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    gone = place.worker("gone")
    place.wait_for("job", "training")
    gone.kill()
    place.worker("other")
    assert place.command("recover", "gone") == 0
    assert place.wait_for("job", "kept").worker == "other"


def test_a_cancelled_training_is_resumed_where_it_was(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    place.worker()
    place.wait_for("job", "training", progress=...)
    place.command("cancel", "job")
    assert place.wait_for("job", "cancelled").resumable
    assert place.command("resume", "job") == 0
    place.wait_for("job", "kept")
    assert "Resuming" in (place.runs / "job/log.txt").read_text()


def test_two_workers_run_two_jobs_one_after_the_other(place: Place) -> None:
    for job in ("one", "two"):
        place.command("submit", "--id", job, "--activate", "ask", *SMALL)
    place.worker("first")
    place.worker("second")
    for job in ("one", "two"):
        place.wait_for(job, "awaiting_approval")
    begun, ended = place.runs / "two/run.json", place.runs / "one/checkpoint.pt"
    assert begun.stat().st_mtime > ended.stat().st_mtime
    assert place.command("approve", "--force", "one") == 0
    assert place.wait_for("one", "activated").version == place.store.current()
    # It was compared with a version that is not current any more.
    assert place.command("approve", "--force", "two") == 0
    assert "retrain" in (place.wait_for("two", "kept").reason or "")
