"""Programs of a job: stopped within a second, never two in one run, their output reported once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract import programs
from contract.programs import Interrupted
from tests.support.running import ROOT
from tests.support.waiting import until

STUBBORN = "tests.support.stubborn"  # prints lines, and ends with the first SIGINT
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


class Reported(list[str]):
    def __call__(self, _: str, line: str) -> None:
        self.append(line)


def run(folder: Path, reported: Reported, *words: str, stop_after: int | None = None) -> int:
    """`stop_after`: the number of reported lines after which a stop is requested."""
    return programs.run(
        lambda: [STUBBORN, *words],
        folder,
        ENVIRONMENT,
        stop_requested=lambda: stop_after is not None and len(reported) >= stop_after,
        report=reported,
    )


def test_each_line_is_reported_and_the_exit_code_returned(tmp_path: Path) -> None:
    reported = Reported()
    assert run(tmp_path, reported, "3") == 3
    assert reported == ["line 1", "line 2", "line 3"]


def test_lines_that_were_reported_before_a_restart_are_not_reported_again(tmp_path: Path) -> None:
    run(tmp_path, Reported(), "2")
    reported = Reported()
    run(tmp_path, reported, "3")
    assert reported == ["line 1", "line 2", "line 3"]
    assert (tmp_path / "log.txt").read_text().count("line 1") == 2


def test_a_program_is_stopped_with_sigint(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, Reported(), "forever", stop_after=1)
    assert (tmp_path / "log.txt").read_text().endswith("stopped\n")


def test_the_program_of_a_killed_worker_is_stopped_before_the_next_one_starts(
    tmp_path: Path,
) -> None:
    code = f"from {__name__} import *; run(Path(sys.argv[1]), Reported(), 'forever')"
    worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    log = tmp_path / "log.txt"
    until(lambda: log.exists() and "line 1" in log.read_text())
    worker.kill()
    worker.wait()
    assert run(tmp_path, Reported(), "1") == 1
    assert log.read_text().splitlines()[-2:] == ["stopped", "line 1"]


def test_a_program_is_stopped_whose_worker_was_killed_as_it_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PATIENCE", 10)
    code = (
        f"from {__name__} import *\n"
        "class Killed(subprocess.Popen):\n"
        "    def __init__(self, *words, **options):\n"
        "        super().__init__(*words, **options)\n"
        "        os.kill(os.getpid(), 9)\n"
        "subprocess.Popen = Killed\n"
        "run(Path(sys.argv[1]), Reported(), 'forever')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    log = tmp_path / "log.txt"
    until(lambda: "line 1" in log.read_text())
    assert run(tmp_path, Reported(), "1") == 1
    assert log.read_text().splitlines()[-2:] == ["stopped", "line 1"]


def test_a_program_has_the_lowest_priority(tmp_path: Path) -> None:
    reported = Reported()
    run(tmp_path, reported, "nice")
    assert reported == ["19"]


def test_only_the_first_lines_of_a_log_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "MOST_LINES", 2)
    reported = Reported()
    run(tmp_path, reported, "3")
    assert reported == ["line 1", f"further lines are in {tmp_path / 'log.txt'}"]
