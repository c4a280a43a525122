"""The version stands in one place, and what repeats it for others agrees."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_chart_and_the_citation_have_the_version_of_pyproject() -> None:
    chart = yaml.safe_load((ROOT / "deploy/helm/digitserve/Chart.yaml").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert chart["appVersion"] == citation["version"] == VERSION


def test_the_changelog_begins_with_what_is_unreleased_and_the_version_of_pyproject() -> None:
    assert HEADINGS[0] == "[Unreleased]"
    assert HEADINGS[1].startswith(f"[{VERSION}] - ")


def test_the_changelog_lists_releases_with_dates_newest_first() -> None:
    releases = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\S+)", each) for each in HEADINGS[1:]]
    assert all(releases)
    found = [
        (*map(int, each.groups()[:3]), date.fromisoformat(each[4])) for each in releases if each
    ]
    assert found == sorted(found, reverse=True)


def test_changes_are_sorted_by_the_kinds_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= KINDS


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_files_and_targets_of_a_page_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    paths = set(re.findall(r"`([a-z_]+/[\w/.-]*)`|\]\(([^):]+)\)", text))
    missing = [path for pair in paths for path in pair if path and not (ROOT / path).exists()]
    assert missing == []
