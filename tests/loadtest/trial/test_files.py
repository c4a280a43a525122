"""A folder holds all that was found: to read, to look at, for programs."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loadtest.errors import CannotMeasure
from loadtest.trial import files
from loadtest.trial.curve import BOTTLENECK
from loadtest.trial.document import plain
from loadtest.trial.plots import LOAD, SERVICE, TIME
from loadtest.trial.result import Result
from tests.loadtest.trial.played import result

TESTS = {
    "service at its limit": {"most": 1000},
    "generator at its limit": {"generator": 1e-3, "refuses": False},
    "all carried": {"most": 3000},
    "nothing carried": {"most": 100, "users": (400,)},
    "one second": {"users": (10,), "seconds": 3},
}


@pytest.mark.parametrize("how", TESTS.values(), ids=TESTS)
def test_pictures_are_there_and_of_a_size_to_look_at(how: dict[str, Any], tmp_path: Path) -> None:
    files.write(result(tmp_path, **how))
    for name in (LOAD, SERVICE, TIME):
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert 1000 < picture.width < 1400
            assert 700 < picture.height < 1300
            assert len(picture.convert("L").getcolors() or []) > 10
        assert f"![{name}]({name})" in (tmp_path / "report.md").read_text()
        assert 20_000 < (tmp_path / name).stat().st_size < 200_000


def test_the_summary_has_what_a_program_wants_to_know(tmp_path: Path) -> None:
    files.write(result(tmp_path, most=1000))
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["exit_code"] == 1
    assert told["slo"] == {"p99": 0.05, "errors": 0.001}
    assert (told["knee"]["users"], told["knee"]["rate"]) == (250, 1000)
    assert [step["users"] for step in told["steps"]] == [50, 100, 150, 200, 250, 300, 350, 400]
    assert [step["holds"] for step in told["steps"]] == [True] * 5 + [False] * 3
    assert told["kinds"]["png"]["refused"] == 3600
    assert told["conditions"]["processor"] == "A Processor"


def test_every_look_is_a_line(tmp_path: Path) -> None:
    found = result(tmp_path)
    files.write(found)
    with (tmp_path / "looks.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(found.looks)
    assert lines[-1]["seconds"] == "96.0"
    assert lines[-1]["requests_5xx"] == lines[-1]["shed"] == "3600.0"
    assert lines[-1]["rss_bytes"] == str(100 << 20)


def test_terminal_and_report_say_the_same(tmp_path: Path) -> None:
    found = result(tmp_path, generator=1e-3, refuses=False)
    files.write(found)
    written, said = (tmp_path / "report.md").read_text(), plain(found)
    for told in (BOTTLENECK, "locust at its limit", "png", found.verdict.words):
        assert told in written
        assert told in said
    assert "| 250 | 1,000 | 1,000 | 6.00 |" in written
    assert written.startswith(f"# {found.curve.title}\n")
    assert "A Processor" in written


def test_what_was_stopped_before_its_time_says_so(tmp_path: Path) -> None:
    found = result(tmp_path)
    stopped = Result(**vars(found) | {"stopped": True})
    assert "Stopped before its time" in plain(stopped)
    assert "Stopped before its time" not in plain(found)


def test_nothing_measured_still_makes_a_report(tmp_path: Path) -> None:
    files.write(result(tmp_path, users=()))
    assert (tmp_path / "report.md").read_text().startswith("# Nothing was measured\n")
    assert list(tmp_path.glob("*.png")) == []


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotMeasure, match="name another: --results"):
        files.made(tmp_path / "file")
