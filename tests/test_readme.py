"""What the README says is true now: its commands exist, its tables are complete."""

import re
import subprocess
from pathlib import Path

import httpx2
import pytest

from service.settings import Settings
from tests.service.running import Service

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading: first cell, without backticks -> the others."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [
        line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")
    ]
    return {cells[0].strip("`"): cells[1:] for cells in rows[1:]}


def test_the_settings_are_all_there_with_default_and_meaning() -> None:
    settings = {
        name.upper(): [
            "the cores" if name == "threads" else str(field.default),
            field.description or "",
        ]
        for name, field in Settings.model_fields.items()
    }
    assert table("Settings") == settings


def test_the_metrics_are_all_there_with_labels_and_meaning(service: Service) -> None:
    exposition = httpx2.get(f"{service.url}/metrics").text
    found = dict(re.findall(r"^# HELP digitserve_(\w+) (.*)$", exposition, re.MULTILINE))
    told = {name.partition("{")[0]: meaning for name, (meaning,) in table("Metrics").items()}
    assert told == found


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake [a-z ]*[a-z]", README))))
def test_every_make_target_exists(command: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = command.split()[1:]
    known = [word for word in words if word in targets]
    assert known[:1] == words[:1]


def test_the_folders_in_the_layout_are_the_packages_there_are() -> None:
    told = set(re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert told == packages


def test_make_alone_lists_the_targets_with_what_they_do() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "train", "export", "serve", "clean"):
        assert re.search(rf"{target} +\S* [A-Z]\w+", listed), target
