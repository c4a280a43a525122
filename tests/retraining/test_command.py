"""`python -m retraining` submits, lists and cancels jobs without a worker, and starts one."""

import json
import os
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from retraining.settings import from_environment
from service.errors import CannotStart
from service.settings import Settings
from tests.retraining.place import Place


def printed(place: Place, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """The JSON that a command prints."""
    capsys.readouterr()
    assert place.command(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_submitted_job_waits_with_its_request(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--preset", "quick", "--set", "epochs=2", "--set", "network=deep", "--no-corrections")
    job = printed(place, capsys, "submit", "--id", "job", *words)
    assert (job["id"], job["state"]) == ("job", "queued")
    assert job["request"] == {
        "preset": "quick",
        "recipe": {"epochs": 2, "network": "deep"},
        "data": None,
        "corrections": False,
        "activate": "ask",
    }


def test_the_same_job_twice_is_one_and_another_with_its_id_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert place.command("submit", "--id", "job") == 0
    assert len(printed(place, capsys, "list")) == 1
    assert place.command("submit", "--id", "job", "--preset", "best") == 1
    assert "another request" in capsys.readouterr().err


def test_jobs_are_listed_newest_first(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for job in ("one", "two"):
        place.command("submit", "--id", job)
    capsys.readouterr()
    assert place.command("list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["two", "one"]


def test_a_job_is_shown_with_its_request_and_its_gate(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.has_published("job", "worse")
    place.command("submit", "--id", "job", "--set", "epochs=5", "--activate", "if_better")
    place.worker()
    place.wait_for("job", "kept")
    capsys.readouterr()
    assert place.command("show", "job") == 0
    shown = capsys.readouterr().out
    facts = dict(line.split(maxsplit=1) for line in shown.partition("\n\n")[0].splitlines())
    assert (facts["job"], facts["state"], facts["version"]) == ("job", "kept", "2")
    assert facts["request"].startswith("preset default, epochs=5, the data of the current version")
    assert facts["log"] == f"{place.runs}/job/log.txt, on the worker"
    assert {"reason", "model", "created", "started", "ended", "worker", "compared"} <= set(facts)
    assert "Judged worse than 1: 2 images gained" in shown


def test_a_job_of_another_version_of_the_worker_does_not_hide_the_others(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for job in ("one", "two"):
        place.command("submit", "--id", job)
    with closing(sqlite3.connect(place.database)) as database, database:
        database.execute(
            "UPDATE workflow_input SET inputs = replace(inputs, 'preset', 'plan') "
            "WHERE workflow_uuid = 'one'"
        )
    assert [job["id"] for job in printed(place, capsys, "list")] == ["two"]
    assert place.command("list") == 0
    assert "another version of the worker wrote, and that are not shown: 1" in (
        capsys.readouterr().err
    )
    assert place.command("show", "one") == 1
    assert "another version of the worker wrote job one" in capsys.readouterr().err


def test_a_waiting_job_can_be_cancelled_and_resumed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.command("submit", "--id", "job")
    assert printed(place, capsys, "cancel", "job")["state"] == "cancelled"
    for _ in range(2):
        assert printed(place, capsys, "resume", "job")["state"] == "queued"


def test_only_a_job_that_awaits_approval_is_approved(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.command("submit", "--id", "job")
    assert place.command("approve", "job") == 1
    assert "job job is queued, so it cannot be approved" in capsys.readouterr().err


def test_more_jobs_than_may_wait_are_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.environment["DIGITSERVE_MAX_JOBS"] = "1"
    assert place.command("submit") == 0
    assert place.command("submit") == 1
    assert "1 jobs wait already (DIGITSERVE_MAX_JOBS)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "message", "code"),
    [
        ("", "DIGITSERVE_JOBS: a database is sqlite:////path", 2),
        ("postgresql://ann:secret@host:x/d", "DIGITSERVE_JOBS: its port is not a number", 2),
        ("sqlite:////no/such/jobs.sqlite", "/no/such/jobs.sqlite: there is no such file", 1),
        ("sqlite:////proc/version", "cannot be used: sqlite:////proc/version: ", 1),
        ("postgresql://ann:secret@127.0.0.1:1/d", "postgresql://ann:***@127.0.0.1:1/d: conn", 1),
        ("postgresql://ann:refused@127.0.0.1:1/d", "Connection ***", 1),  # the driver's word
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    url: str, message: str, code: int, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.environment["DIGITSERVE_JOBS"] = url
    assert place.command("list") == code
    error = capsys.readouterr().err
    assert message in error
    assert "secret" not in error
    assert "Traceback" not in error


POSTGRES = "postgresql://ann:secret"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://ann:secret@host/d", "a database is sqlite:////path"),
        ("postgres://ann:secret@host/d", "or postgresql://user"),
        (f"{POSTGRES}@secret@host/d", "write the one in a password as %40"),
        (f"{POSTGRES}/secret@host/d", "write / as %2F"),
        (f"{POSTGRES}[secret@host/d", "[ as %5B"),
        (f"{POSTGRES}%secret@host/d", "% as %25"),
        (f"{POSTGRES} secret@host/d", "a blank as %20"),
        (f"{POSTGRES}@host:secret/d", "its port is not a number"),
        (f"{POSTGRES}@host:99999/d", "its port is not a number"),
        (f"{POSTGRES}/d", "its port is not a number"),
        (f"{POSTGRES}@host", "it names no database"),
        (f"{POSTGRES}@/d", "or postgresql://user"),
        ("postgresql://ann@host/d?sslmode=require&pass%77ord=secret", "is in the query"),
        ("sqlite://secret.sqlite", "a database is sqlite:////path"),
        ("sqlite:///", "it names no file"),
        ("sqlite:///:memory:", "it names no file"),
        ("sqlite:////secret?mode=ro", "neither ? nor #"),
    ],
)
def test_both_programs_refuse_a_wrong_database_and_show_no_part_of_it(
    url: str, message: str, place: Place, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    place.environment["DIGITSERVE_JOBS"] = url
    assert place.command("list") == 2
    monkeypatch.setenv("DIGITSERVE_JOBS", url)
    with pytest.raises(CannotStart) as refused:
        Settings.from_environment()
    for error in (capsys.readouterr().err, str(refused.value)):
        assert "DIGITSERVE_JOBS" in error
        assert message in error
        assert "secret" not in error
        assert "Traceback" not in error


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///jobs.sqlite",
        "sqlite:////a folder/jobs.sqlite",
        "postgresql://host/d",
        "postgresql://ann@host/d",
        "postgresql://ann:p%40ss:w%2Ford@host.example:5432/d?sslmode=require",
        "postgresql://ann:secret@[::1]:5432/d",
    ],
)
def test_both_programs_accept_a_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_JOBS", url)
    assert from_environment()["jobs"] == url
    service = Settings.from_environment().jobs
    assert service is not None
    assert service.get_secret_value() == url


def test_both_programs_refuse_a_url_as_the_folder_of_corrections(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.environment["DIGITSERVE_FEEDBACK"] = "s3://bucket/feedback"
    assert place.command("list") == 2
    monkeypatch.setenv("DIGITSERVE_FEEDBACK", "s3://bucket/feedback")
    with pytest.raises(CannotStart) as refused:
        Settings.from_environment()
    for error in (capsys.readouterr().err, str(refused.value)):
        assert "DIGITSERVE_FEEDBACK" in error
        assert "in a folder, not at a URL" in error


def test_the_programs_of_a_job_do_not_get_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_JOBS", "postgresql://ann:secret@host/d")
    monkeypatch.setenv("DIGITSERVE_RUNS", "runs")
    environment = from_environment()["environment"]
    assert "'DIGITSERVE_RUNS': 'runs'" in str(environment)
    assert "ann:secret" not in str(environment)


def test_an_option_that_no_recipe_has_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.command("submit", "--set", "epoch=5") == 2
    assert "there is no option epoch: did you mean epochs?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "missing"], "there is no job missing"),
        (["cancel", "missing"], "there is no job missing"),
    ],
    ids=" ".join,
)
def test_a_missing_job_is_named(
    words: list[str], message: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.command("submit", "--id", "job")
    assert place.command(*words) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "../etc"], "is not the id of a job"),
        (["submit", "--set", "epochs"], "is not OPTION=VALUE, such as epochs=5"),
        (["submit", "--activate", "always"], "choose from"),
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_a_usage_error(
    words: list[str], message: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        place.command(*words)
    assert message in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="macOS does not bind to cores")
def test_a_worker_leaves_a_core_to_the_service(place: Place) -> None:
    cores = os.sched_getaffinity(0)
    left = {min(cores)} if len(cores) > 1 else set()
    assert os.sched_getaffinity(place.worker().process.pid) == cores - left
