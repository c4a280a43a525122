"""What becomes of a job's version: activated, kept, rejected, or judged again."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.jobs import Job, Progress, Request, State
from contract.programs import Interrupted
from contract.store import Store
from contract.version import Version
from retraining import steps
from retraining.settings import Settings
from retraining.steps import Failed
from tests.retraining.place import COMPLETE
from tests.support.versions import gate, publish, two_versions
from tests.support.waiting import until

PROGRESS = Progress(
    epoch=1, epochs=2, within=1, loss=0.5, accuracy=0.9, learning_rate=0.01, images_per_second=9,
    seconds=3,
)  # fmt: skip
# Holds the lock of a run until it gets SIGINT, and writes the run's last files then.
ENDING = """
import fcntl, os, pathlib, signal, socket, sys
folder = pathlib.Path(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
lock = (folder / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), socket.gethostname(), end="", file=lock, flush=True)
signal.sigwait({signal.SIGINT})
for name in sys.argv[2:]:
    (folder / name).touch()
"""


class Recorder:
    """A reporter that keeps what it is given; `stop` is whether a stop was requested."""

    def __init__(self, *, stop: bool = False) -> None:
        self.states: list[State] = []
        self.lines: list[str] = []
        self._stop = stop
        self._recorded: dict[str, int] = {}

    def job(self, job: Job) -> None:
        self.states.append(job.state)

    def progress(self, job: Job, progress: Progress) -> None: ...

    def line(self, line: str) -> None:
        self.lines.append(line)

    def stop_requested(self) -> bool:
        return self._stop

    def first(self, name: str, value: int) -> int:
        return self._recorded.setdefault(name, value)


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    """Version 1 is current, version 2 is that of the job."""
    return two_versions(published, tmp_path / "models")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(jobs="", runs=tmp_path / "runs", models=tmp_path / "models", min_free=0)


def job(activate: str = "if_better", verdict: str = "better", **request: Any) -> Job:
    return Job(
        id="job",
        state="judging",
        request=Request.model_validate({"activate": activate, **request}),
        model="digits",
        created=datetime.now(UTC).replace(microsecond=0),
        version=2,
        parent=1,
        gate=gate(verdict),
    )


def test_a_better_version_is_activated(store: Store, settings: Settings) -> None:
    reporter = Recorder()
    assert steps.settle(job(), settings, reporter).state == "activated"
    assert reporter.states == ["activating", "activated"]
    assert store.current() == 2


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        ("equal", "it is not better than version 1: of 100 images it gains 2 and loses 1"),
        ("worse", "it is worse than version 1: It fell from 95% to 90%."),
    ],
)
def test_a_version_that_is_not_better_is_kept_with_the_reason(
    verdict: str, reason: str, store: Store, settings: Settings
) -> None:
    done = steps.settle(job(verdict=verdict), settings, Recorder())
    assert (done.state, done.reason) == ("kept", reason)
    assert store.current() == 1


def test_if_only_unreviewed_corrections_improved_a_person_decides(
    store: Store, settings: Settings
) -> None:
    equal = gate("equal").model_copy(update={"unreviewed_gained": 40, "unreviewed_lost": 3})
    done = steps.settle(job().model_copy(update={"gate": equal}), settings, Recorder())
    assert done.state == "awaiting_approval"
    assert "only corrections that nobody reviewed improved: it gains 40 of them and loses 3" in (
        done.reason or ""
    )
    assert store.current() == 1


def test_a_better_version_that_was_trained_on_unreviewed_corrections_awaits_approval(
    store: Store, settings: Settings
) -> None:
    better = gate("better").model_copy(update={"unreviewed_trained": 40})
    done = steps.settle(job().model_copy(update={"gate": better}), settings, Recorder())
    assert (done.state, store.current()) == ("awaiting_approval", 1)
    assert done.reason == (
        "it is better than version 1, but trained on corrections that nobody reviewed: 40"
    )


@pytest.mark.parametrize(("policy", "state"), [("never", "kept"), ("ask", "awaiting_approval")])
def test_a_better_version_is_not_activated_against_the_request(
    policy: str, state: State, store: Store, settings: Settings
) -> None:
    assert steps.settle(job(policy), settings, Recorder()).state == state
    assert store.current() == 1


def test_if_another_version_became_current_it_is_judged_again(
    store: Store, settings: Settings, version: Version
) -> None:
    store.activate(publish(store, version))
    done = steps.settle(job(), settings, Recorder())
    assert done.state == "judging"
    assert store.current() == 3


def test_an_activation_that_runs_twice_switches_once(store: Store, settings: Settings) -> None:
    reporter = Recorder()
    steps.settle(job(), settings, reporter)
    steps.settle(job(), settings, reporter)
    assert [switch.after for switch in store.history()].count(2) == 1


def test_a_rollback_after_the_activation_is_not_undone(store: Store, settings: Settings) -> None:
    reporter = Recorder()
    steps.settle(job(), settings, reporter)
    store.rollback()
    steps.settle(job(), settings, reporter)
    assert store.current() == 1


def test_a_job_cancelled_before_the_activation_changes_nothing(
    store: Store, settings: Settings
) -> None:
    with pytest.raises(Interrupted):
        steps.settle(job(), settings, Recorder(stop=True))
    assert store.current() == 1


def test_an_approval_activates_even_what_is_not_better(store: Store, settings: Settings) -> None:
    done = steps.decide(job("ask", "worse"), "approve", "ann", settings, Recorder())
    assert (done.state, store.current()) == ("activated", 2)
    assert done.reason == (
        "approved by ann, although it is worse than version 1: It fell from 95% to 90%."
    )


def test_a_rejection_names_who_decided(store: Store, settings: Settings) -> None:
    done = steps.decide(job("ask"), "reject", "ann", settings, Recorder())
    assert (done.state, done.reason, store.current()) == ("rejected", "rejected by ann", 1)


def test_an_approval_activates_what_was_rolled_back_before_it(
    store: Store, settings: Settings
) -> None:
    store.activate(2)
    store.rollback()
    done = steps.decide(job("ask"), "approve", "ann", settings, Recorder())
    assert (done.state, store.current()) == ("activated", 2)


def test_an_approval_of_an_outdated_comparison_activates_nothing(
    store: Store, settings: Settings, version: Version
) -> None:
    store.activate(publish(store, version))
    done = steps.decide(job("ask"), "approve", "ann", settings, Recorder())
    assert done.state == "kept"
    assert "retrain, or activate version 2 by hand" in (done.reason or "")


def test_the_first_version_of_a_model_is_activated_without_a_comparison(
    store: Store, settings: Settings
) -> None:
    (store.folder / "current").unlink()
    first = job().model_copy(update={"gate": None, "parent": None})
    assert steps.settle(first, settings, Recorder()).state == "activated"


def test_a_request_cannot_name_code_to_run(store: Store, settings: Settings) -> None:
    asked = job(recipe={"network": "os:system"})
    with pytest.raises(Failed, match="network: a network of your own runs code"):
        steps.train(asked, settings, Recorder())


def test_what_a_training_wrote_after_its_worker_was_killed_is_reported(
    store: Store, settings: Settings
) -> None:
    folder = settings.runs / "job"
    folder.mkdir(parents=True)
    for name in COMPLETE:
        (folder / name).touch()
    (folder / "log.txt").write_text("Training\nepoch 1\n")
    (folder / "progress.jsonl").write_text(PROGRESS.model_dump_json() + "\n")
    (folder / ".copied").write_text(json.dumps({"log.txt": len("Training\n"), "lines": 1}))
    reporter = Recorder()
    done = steps.train(job(), settings, reporter)
    assert (reporter.lines, done.progress) == (["epoch 1"], PROGRESS)


def test_a_training_that_ends_as_it_is_stopped_is_not_resumed(
    store: Store, settings: Settings
) -> None:
    """It belongs to a worker that was killed, and completes the run in spite of the signal."""
    folder = settings.runs / "job"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    words = [sys.executable, "-c", ENDING, str(folder), *COMPLETE]
    with subprocess.Popen(words, start_new_session=True):
        until(lambda: (folder / "lock").exists() and (folder / "lock").read_text())
        steps.train(job(), settings, Recorder())
    assert not (folder / "log.txt").read_text()


@pytest.mark.parametrize(
    ("corrections", "line"),
    [
        (None, "Without corrections: DIGITSERVE_FEEDBACK is not set for the worker"),
        (Path("/nowhere"), "Without corrections: /nowhere has none"),
    ],
    ids=["no folder", "none accepted"],
)
def test_a_job_says_why_it_is_trained_without_corrections(
    corrections: Path | None, line: str, store: Store, settings: Settings
) -> None:
    reporter = Recorder()
    no_python = {"PYTHONHOME": "/nowhere"}  # so that the training ends at once
    settings = replace(settings, corrections=corrections, environment=no_python)
    with pytest.raises(Failed):
        steps.train(job(data="/nowhere"), settings, reporter)
    assert reporter.lines[0] == line


def test_a_training_needs_free_disk(store: Store, tmp_path: Path) -> None:
    settings = Settings(jobs="", runs=tmp_path, models=tmp_path / "models", min_free=1e9)
    with pytest.raises(Failed, match=r"GB free, less than the 1e\+09 GB"):
        steps.train(job(), settings, Recorder())


def test_the_oldest_runs_of_jobs_are_pruned_and_none_that_is_needed(
    store: Store, tmp_path: Path
) -> None:
    settings = Settings(jobs="", runs=tmp_path / "r", models=tmp_path / "models", keep_runs=1)
    jobs: list[tuple[str, State, int | None]] = [  # and the days since it could be resumed
        ("running", "training", None),
        ("awaiting", "awaiting_approval", None),
        ("kept", "kept", None),
        ("failed", "failed", 29),
        ("cancelled", "cancelled", 29),
        ("given-up", "failed", 31),
        ("new", "kept", None),
        ("by-hand", "kept", None),
    ]
    found = []
    for age, (name, state, days) in enumerate(jobs):
        facts = {"job": None if name == "by-hand" else name}
        (settings.runs / name).mkdir(parents=True)
        (settings.runs / name / "run.json").write_text(json.dumps(facts))
        os.utime(settings.runs / name, (age, age))
        ended = datetime.now(UTC) - timedelta(days=days or 0)
        changes = {"id": name, "state": state, "resumable": days is not None, "ended": ended}
        found.append(job().model_copy(update=changes))
    assert [run.name for run in steps.prune(settings, found)] == ["kept", "given-up"]
    assert not (settings.runs / "kept").exists()


def test_nothing_is_pruned_if_the_current_version_is_not_known(
    store: Store, tmp_path: Path
) -> None:
    settings = Settings(jobs="", runs=tmp_path / "r", models=tmp_path / "models", keep_runs=1)
    for name in ("old", "new"):
        (settings.runs / name).mkdir(parents=True)
        (settings.runs / name / "run.json").write_text('{"job": "job"}')
    (store.folder / "current").write_text("damaged")
    assert steps.prune(settings, []) == []
    assert (settings.runs / "old").exists()
