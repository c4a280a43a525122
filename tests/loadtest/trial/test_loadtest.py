"""Whole load tests, as short as they can be, with real users of a real service."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from contract.version import Version
from loadtest import process
from loadtest.__main__ import main
from tests.loadtest.users.between import Said, another_digit, between
from tests.loadtest.waiting import until
from tests.program import PATIENCE, interruptible
from tests.service.running import ROOT, Service, clean_environment

FILES = {
    "report.md", "summary.json", "looks.csv", "load.png", "service.png", "time.png", "seconds",
    "locust.html", "locust.log", "locust_stats.csv", "locust_stats_history.csv",
    "locust_failures.csv", "locust_exceptions.csv",
}  # fmt: skip
# Machines that run tests are busy: only what can be relied upon is promised.
EASY = ("--p99=9s", "--errors=0")
SHORT = ("--shape=constant", "--users=8", "--run-time=10s", "--think=0.05", *EASY)


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("DIGITSERVE_", "LOADTEST_", "LOCUST_")):
            monkeypatch.delenv(name)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def summary(results: Path) -> dict[str, Any]:
    (folder,) = results.iterdir()
    told: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return told


def test_a_service_is_started_asked_in_steps_watched_and_reported(
    published: tuple[Store, Version], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--models={published[0].folder.parent}", f"--results={results}", *EASY]
    how = ["--users=8", "--steps=2", "--run-time=16s", "--think=0.02-0.04", "--weights=jpeg=0"]
    assert main([*words, *how]) == 0
    (folder,) = results.iterdir()
    assert {path.name for path in folder.iterdir()} == FILES
    told = summary(results)
    first, second = told["steps"]
    assert (first["users"], second["users"]) == (4, 8)
    assert second["offered"] == pytest.approx(8 / 0.03)
    for step in (first, second):
        assert 0 < step["p50"] <= step["p95"] <= step["p99"]
        assert 0 < step["rate"] < 1.2 * step["offered"]
        assert (step["failed"], step["refused"]) == (0, 0)
        assert step["service"]["batch"] >= 1
        assert step["service"]["cpu"] > 0
        assert 0 < step["generator"] < 1.1
    assert "png" in told["kinds"]
    assert "jpeg" not in told["kinds"]
    assert any(kind.startswith("wrong") for kind in told["kinds"])
    printed = capsys.readouterr().out
    for words_of_it in ("service on core", "  offered ", "right/s", "The SLO holds", str(folder)):
        assert words_of_it in printed


def spoiled(path: str, said: Said) -> Said:
    """Half of them are refused, the other half are told another digit."""
    if path.startswith("/v1/"):
        return Said(503, {"Retry-After": "1"}, b"")
    return another_digit(path, said) if path.startswith("/v2/") else said


def test_users_who_do_not_get_what_they_asked_for_break_the_slo(
    service: Service, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a service that runs; and what is for locust reaches it."""
    with between(service, spoiled) as url:
        words = [f"--host={url}", f"--results={results}", *SHORT, "--weights=wrong=0"]
        assert main([*words, "--processes=1", "--", "--loglevel=DEBUG"]) == 1
    told = summary(results)
    assert told["kinds"]["png"]["refused"] > 0
    assert told["kinds"]["binary"]["failed"] > 0
    assert told["steps"][0]["service"]["cpu"] is None  # it is not ours to look into
    assert "The SLO does not hold: no right answer" in capsys.readouterr().out
    (folder,) = results.iterdir()
    assert "/DEBUG/" in (folder / "locust.log").read_text()


def test_without_a_service_nothing_is_measured(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--host=http://127.0.0.1:1", f"--results={results}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("loadtest: no service is ready at http://127.0.0.1:1: ")
    assert said.endswith("start one with `make serve`, or leave out --host\n")
    assert main([f"--models={results}", f"--results={results}"]) == 2
    assert "no model version to measure" in capsys.readouterr().err
    assert not results.exists()


def test_what_locust_does_not_take_is_told_in_its_words(
    service: Service, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--host={service.url}", f"--results={results}", *SHORT, "--", "--no-such-thing"]
    assert main(words) == 2
    assert "unrecognized arguments: --no-such-thing" in capsys.readouterr().err


def test_why_locust_gave_up_is_told_and_not_its_statistics(
    service: Service, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--host={service.url}", f"--results={results}", *SHORT, "--model=others"]) == 2
    assert "There is nothing to test: /v2/models/others/infer" in capsys.readouterr().err


def test_several_processes_ask_together(service: Service, results: Path) -> None:
    words = [f"--host={service.url}", f"--results={results}", *SHORT]
    assert main([*words, "--processes=2"]) == 0
    (folder,) = results.iterdir()
    assert len(list((folder / "seconds").iterdir())) == 2


def test_ctrl_c_ends_all_that_was_started_and_reports_what_was_measured(
    published: tuple[Store, Version], results: Path
) -> None:
    words = [f"--models={published[0].folder.parent}", f"--results={results}", *SHORT]
    words = [sys.executable, "-m", "loadtest", *words, "--run-time=10m"]
    with interruptible(words, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE) as program:
        until(lambda: asked(results))
        started = set(process.tree(program.pid)) - {program.pid}
        assert len(started) >= 2
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
    assert "Stopped before its time" in said
    assert summary(results)["stopped"] is True
    (folder,) = results.iterdir()
    assert {"report.md", "looks.csv", "locust.html"} <= {path.name for path in folder.iterdir()}


def asked(results: Path) -> bool:
    """Whether users have been told something."""
    return any('"ms"' in path.read_text() for path in results.glob("*/seconds/*.jsonl"))
