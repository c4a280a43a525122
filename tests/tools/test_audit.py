"""An audit passes only if everything was looked up and nothing was found."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools.audit import main

SOUND = {"name": "sound", "version": "1", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}
BROKEN = {
    "name": "broken",
    "version": "1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": []}],
}


def audit(folder: Path, *packages: Mapping[str, object], ends: str = "exit 0") -> int:
    """The exit code where pip-audit says this of the packages."""
    program = folder / "pip-audit"
    answer = json.dumps({"dependencies": packages}) if packages else ""
    program.write_text(f"#!/bin/sh\necho '{answer}'\n{ends}\n")
    program.chmod(0o755)
    return main(["--pip-audit", str(program)])


def test_all_packages_without_a_known_vulnerability_pass(tmp_path: Path) -> None:
    assert audit(tmp_path, SOUND, SOUND) == 0


def test_a_vulnerability_fails_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, SOUND, BROKEN, ends="exit 1") == 1
    assert capsys.readouterr().out == "broken 1: PYSEC-1, mended in 2\n"


def test_a_package_that_nobody_could_look_up_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, SOUND, UNKNOWN) == 2
    assert "1 of 2 packages could not be looked up (unknown" in capsys.readouterr().err


def test_a_service_that_is_out_of_reach_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, ends="echo 'Traceback\nConnectionError: no route' >&2; exit 1") == 2
    said = capsys.readouterr().err
    assert said == "audit: nothing was audited; pip-audit says: ConnectionError: no route\n"
