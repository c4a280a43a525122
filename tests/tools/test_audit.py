"""An audit passes only if every package was checked and no vulnerability was found."""

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
    """The exit code of the audit with this output of pip-audit."""
    program = folder / "pip-audit"
    answer = json.dumps({"dependencies": packages}) if packages else ""
    program.write_text(f"#!/bin/sh\necho '{answer}'\n{ends}\n")
    program.chmod(0o755)
    return main(["--pip-audit", str(program)])


def test_packages_without_known_vulnerabilities_pass(tmp_path: Path) -> None:
    assert audit(tmp_path, SOUND, SOUND) == 0


def test_a_vulnerability_fails_and_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, SOUND, BROKEN, ends="exit 1") == 1
    assert capsys.readouterr().out == "broken 1: PYSEC-1, fixed in 2\n"


def test_a_package_that_could_not_be_checked_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, SOUND, UNKNOWN) == 2
    assert "1 of 2 packages could not be looked up (unknown" in capsys.readouterr().err


def test_an_unreachable_service_is_reported_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, ends="echo 'Traceback\nConnectionError: no route' >&2; exit 1") == 2
    stderr = capsys.readouterr().err
    assert stderr == "audit: nothing was audited; pip-audit says: ConnectionError: no route\n"
