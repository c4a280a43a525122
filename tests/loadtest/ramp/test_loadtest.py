"""Minimal complete load tests with real users of a real service."""

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
from loadtest.__main__ import main
from loadtest.host import processes
from tests.loadtest.users.between import Response, another_digit, between
from tests.support.program import PATIENCE, interruptible
from tests.support.running import ROOT, Service, clean_environment
from tests.support.waiting import until

FILES = {
    "report.md", "summary.json", "load.png", "locust.html", "locust.log", "locust.json",
    "locust_stats.csv", "locust_stats_history.csv", "locust_failures.csv", "locust_exceptions.csv",
}  # fmt: skip
# Machines that run tests are busy, so the SLO is loose.
EASY = ("--p99=9s", "--errors=0")
SHORT = ("--steps=1", "--users=8", "--run-time=8s", "--think=0.05", *EASY)


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
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def test_a_running_service_is_tested_and_reported(
    service: Service, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--host={service.url}", f"--results={results}", *SHORT, "--run-time=5s"]
    pngs = "--weights=png=1 jpeg=0 form=0 json=0 binary=0 wrong=0"  # few rehearsal requests
    assert main([*words, "--processes=1", "--", pngs]) == 0
    (step,) = summary(results)["steps"]
    assert (step["users"], step["errors"]) == (8, 0)
    assert step["rate"] > 0
    assert "The SLO holds" in capsys.readouterr().out


@pytest.mark.slow
def test_a_service_is_started_tested_in_steps_monitored_and_reported(
    published: tuple[Store, Version], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--models={published[0].folder.parent}", f"--results={results}", *EASY]
    how = ["--users=8", "--steps=2", "--run-time=16s", "--think=0.02-0.04"]
    assert main([*words, *how, "--", "--weights=jpeg=0"]) == 0
    (folder,) = results.iterdir()
    assert {path.name for path in folder.iterdir()} == FILES
    found = summary(results)
    first, second = found["steps"]
    assert (first["users"], second["users"]) == (4, 8)
    assert second["offered"] == pytest.approx(8 / 0.03)
    for step in (first, second):
        assert 0 <= step["p50"] <= step["p95"] <= step["p99"]
        assert 0 < step["rate"] < 1.2 * step["offered"]
        assert step["errors"] == 0
        assert step["service"]["batch"] >= 1
        assert step["service"]["cpu"] > 0
        assert 0 < step["generator"] < 1.1
    kinds = {each["Name"] for each in found["kinds"]}
    assert "png" in kinds
    assert "jpeg" not in kinds
    printed = capsys.readouterr().out
    for expected in ("server on core", "right/s", "answers/s", "The SLO holds", str(folder)):
        assert expected in printed


def spoiled(path: str, response: Response) -> Response:
    """Reject half of the requests, and answer the others with another digit."""
    if path.startswith("/v1/"):
        return Response(503, {"Retry-After": "1"}, b"")
    return another_digit(path, response) if path.startswith("/v2/") else response


@pytest.mark.slow
def test_wrong_answers_and_rejections_violate_the_slo(
    service: Service, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with between(service, spoiled) as url:
        words = [f"--host={url}", f"--results={results}", *SHORT, "--processes=1"]
        assert main([*words, "--", "--weights=wrong=0", "--loglevel=DEBUG"]) == 1
    kinds = {each["Name"]: each for each in summary(results)["kinds"]}
    assert int(kinds["png, refused"]["Request Count"]) > 0
    assert int(kinds["binary"]["Failure Count"]) > 0
    assert "The SLO does not hold: errors 100 %" in capsys.readouterr().out
    (folder,) = results.iterdir()
    assert "/DEBUG/" in (folder / "locust.log").read_text()


def test_without_a_service_nothing_is_measured(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--host=http://127.0.0.1:1", f"--results={results}"]) == 2
    response = capsys.readouterr().err
    assert response.startswith("loadtest: no service is ready at http://127.0.0.1:1: ")
    assert response.endswith("start one with `make serve`, or leave out --host\n")
    assert main([f"--models={results}", f"--results={results}"]) == 2
    assert "no model version to measure" in capsys.readouterr().err
    assert not results.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--", "--no-such-thing"], "unrecognized arguments: --no-such-thing"),
        (["--model=others"], "There is nothing to test: /v2/models/others/infer"),
    ],
)
def test_the_error_of_locust_is_reported(
    more: list[str], why: str, service: Service, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--host={service.url}", f"--results={results}", *SHORT, *more]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.slow
def test_several_locust_processes_share_the_users(service: Service, results: Path) -> None:
    words = [f"--host={service.url}", f"--results={results}", *SHORT, "--run-time=12s"]
    assert main([*words, "--processes=2"]) == 0
    assert summary(results)["steps"][0]["users"] == 8


@pytest.mark.slow
def test_ctrl_c_stops_everything_and_reports_the_partial_results(
    published: tuple[Store, Version], results: Path
) -> None:
    words = [f"--models={published[0].folder.parent}", f"--results={results}", *SHORT]
    words = [sys.executable, "-m", "loadtest", *words, "--run-time=10m"]
    with interruptible(words, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE) as program:
        until(lambda: list(results.glob("*/locust_stats_history.csv")))
        started = {each.pid for each in processes.tree(program.pid)} - {program.pid}
        assert len(started) >= 2
        program.send_signal(signal.SIGINT)
        response, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
    assert "Stopped early" in response
    assert summary(results)["stopped"] is True


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--users=0"], "--users: '0' is not a whole number of 1 or more"),
        (["--steps=many"], "--steps: 'many' is not a whole number of 1 or more"),
        (["--run-time=0s"], "'0s' is not a time above 0, such as 50ms, 90s or 1h30m"),
        (["--think=2-1"], "--think: '2-1' is not a number of seconds such as 0.5, or 0.05-0.5"),
        (["--host=localhost:8000"], "is not an address such as http://127.0.0.1:8000"),
        (["--p99=soon"], "'soon' is not a time above 0, such as 50ms, 90s or 1h30m"),
    ],
)
def test_the_error_names_an_invalid_argument(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err
