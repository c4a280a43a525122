"""A job ends as if nothing had happened, whatever kills its worker.

Its version is worse by its verdict: its data are not those of version 1.
"""

import json
import signal
import sys

import pytest

from tests.retraining.place import PATIENCE, SMALL, Place

pytestmark = pytest.mark.slow

TRAINED = ("exporting", "judging", "kept")  # states of a job that is trained
# Kills a worker after a step of a job: when it is done but not recorded, or when it is recorded.
KILLED = """
import os, sys
from dbos import DBOS
from retraining import __main__
step, when = sys.argv[1:3]
run_step = DBOS.run_step
def killed(options, function):
    def done():
        result = function()
        if when == "done":
            os.kill(os.getpid(), 9)
        return result
    if options["name"] != step:
        return run_step(options, function)
    run_step(options, done)
    os.kill(os.getpid(), 9)
DBOS.run_step = killed
__main__.main(sys.argv[6:])
"""


def kill_after(place: Place, step: str, when: str) -> None:
    worker = place.start_worker(prefix=[sys.executable, "-c", KILLED, step, when])
    assert worker.process.wait(PATIENCE) == -signal.SIGKILL


def test_a_job_goes_on_after_its_worker_was_killed_between_any_two_steps(place: Place) -> None:
    place.command("submit", "--id", "job", *SMALL)
    for step in ("begin", "train", "publish", "settle", "prune"):
        for when in ("done", "recorded"):
            kill_after(place, step, when)
    assert place.job("job").state == "awaiting_approval"
    assert place.command("approve", "--force", "job") == 0
    for when in ("done", "recorded"):
        kill_after(place, "decide", when)
    place.worker()
    assert place.wait_for("job", "activated").version == 2
    assert place.store.versions() == [1, 2]  # published once
    assert [switch.after for switch in place.store.history()].count(2) == 1  # activated once
    assert epochs_of("job", place) == [1, 2, 3]  # trained once


def epochs_of(job: str, place: Place) -> list[int]:
    epochs = (place.runs / job / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in epochs]


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
    assert epochs_of("job", place) == [1, 2, 3]  # trained once


def test_a_stopped_worker_hands_its_training_to_another(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    first = place.worker("first")
    place.wait_for("job", "training", progress=...)
    assert first.stop() == 0
    assert place.job("job").state == "queued"
    place.worker("second")
    assert place.wait_for("job", *TRAINED).worker == "second"
    assert "Resuming" in (place.runs / "job/log.txt").read_text()


def test_a_job_of_a_machine_that_never_comes_back_is_recovered(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    gone = place.worker("gone")
    place.wait_for("job", "training")
    gone.kill()
    place.worker("other")
    assert place.command("recover", "gone") == 0
    assert place.wait_for("job", *TRAINED).worker == "other"


def test_a_cancelled_training_is_resumed_where_it_was(place: Place) -> None:
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    place.worker()
    place.wait_for("job", "training", progress=...)
    place.command("cancel", "job")
    assert place.wait_for("job", "cancelled").resumable
    assert place.command("resume", "job") == 0
    place.wait_for("job", *TRAINED)
    assert "Resuming" in (place.runs / "job/log.txt").read_text()


def test_two_workers_run_two_jobs_one_after_the_other(place: Place) -> None:
    """The second one was trained and published before: it has only to wait."""
    place.has_published("two", "worse")
    place.command("submit", "--id", "one", *SMALL)
    place.command("submit", "--id", "two")
    place.worker("first")
    place.worker("second")
    for job in ("one", "two"):
        place.wait_for(job, "awaiting_approval")
    assert epochs_of("one", place) == [1, 2, 3]  # by one of the two alone
    assert place.store.versions() == [1, 2, 3]
    ended = (place.runs / "one/checkpoint.pt").stat().st_mtime
    begun = place.job("two").started
    assert begun is not None
    assert begun.timestamp() > ended
    assert place.command("approve", "--force", "one") == 0
    assert place.wait_for("one", "activated").version == place.store.current()
    # It was compared with a version that is not current any more.
    assert place.command("approve", "--force", "two") == 0
    assert "retrain" in (place.wait_for("two", "kept").reason or "")
