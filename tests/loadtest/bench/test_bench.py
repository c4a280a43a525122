"""A minimal complete run against the real service."""

import json
import os
import sys
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.bench.__main__ import main
from loadtest.bench.measure import Tool
from loadtest.bench.venv import HERE, constraints_beside


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DIGITSERVE_"):
            monkeypatch.delenv(name)


@pytest.mark.slow
def test_a_run_measures_all_targets_and_records_the_conditions(
    published: tuple[Store, Version], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", str(published[0].folder.parent), "--client", "asyncio"]
    words += ["--seconds", "0.5", "--rounds", "1", "--overload", "0.2"]
    written = ["--json", str(tmp_path / "b.json"), "--markdown", str(tmp_path / "b.md")]
    assert main([*words, *written]) == 0
    reported = json.loads((tmp_path / "b.json").read_text())
    (only,) = reported["rounds"]
    assert all(seconds > 0 for seconds in only["limits"].values())
    echo, uvicorn, service, two_workers = only["visits"]
    assert [each["target"] for each in only["visits"]] == [
        "echo", "echo, under uvicorn", "service", "service, 2 workers",
    ]  # fmt: skip
    assert service["right"] > 50  # of 100, with a network trained for a second
    expected = (echo, [64, 1]), (uvicorn, [64, 1]), (service, [64, 1, 8, 256]), (two_workers, [64])
    for visit, connections in expected:
        loads = [each["load"] for each in visit["measured"] if each["posted"] == "images"]
        assert [load["connections"] for load in loads] == connections
        for load in loads:
            assert load["answers"] > 0
            assert (load["refused"], load["broken"]) == (0, 0)
            assert 0 < load["p50"] <= load["p99"] <= load["slowest"]
        assert visit["idle"]["largest"] > 0
    batches = any(each["posted"] == "batches" for each in service["measured"])
    assert batches or "/v2/" in reported["skipped"][0]
    assert any(each["posted"] == "drawings" for each in service["measured"])
    assert len(reported["ratios"]) == 5 + batches
    one, two = reported["scrapes"]
    assert (one["workers"], two["workers"]) == (1, 2)
    for each in (one, two):
        assert each["lines"] > 200
        assert min(*each["alone"], *each["busy"]) > 0
        assert (each["load"]["refused"], each["load"]["broken"]) == (0, 0)
    overload = reported["overload"]
    assert (overload["connections"], overload["queue"]) == (640, 64)
    assert overload["without_retry_after"] == overload["broken"] == 0
    assert set(overload["statuses"]) <= {"200", "503"}
    assert overload["most"] > 0
    conditions = reported["conditions"]
    assert "slower than wrk" in conditions["client"]
    assert conditions["packages"]["onnxruntime"]
    printed = capsys.readouterr().out
    assert "slower than wrk" in printed
    headings = ("decode a PNG", "service", "limit's CPU / service's CPU", "GET /metrics")
    for heading in (*headings, "Retry-After"):
        assert heading in printed
        assert heading in (tmp_path / "b.md").read_text()


@pytest.mark.slow
def test_a_peer_that_cannot_be_measured_is_skipped_with_the_reason(
    published: tuple[Store, Version], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venvs, document, reported = tmp_path / "venvs", tmp_path / "b.md", tmp_path / "b.json"
    _installed(venvs, "mosec", "echo no mosec here; exit 3")
    _installed(venvs, "fastapi", f'exec "{sys.executable}" "$@"')
    (venvs / "litserve").write_text("in the way of a folder")
    words = ["--models", str(published[0].folder.parent), "--client", "asyncio"]
    words += ["--seconds", "0.1", "--rounds", "2", "--venvs", str(venvs)]
    words += ["--only", "service", "mosec", "litserve", "fastapi"]
    assert main([*words, "--markdown", str(document), "--json", str(reported)]) == 3
    for text in (document.read_text(), capsys.readouterr().out):
        assert "Not measured: mosec: it failed in round 1: no mosec here" in text
        assert "Not measured: litserve: it cannot be installed: " in text
        assert "service's req/s / fastapi's, 64 connections" in text
    for each in json.loads(reported.read_text())["rounds"]:
        service, _, fastapi = each["visits"]
        assert (service["target"], fastapi["target"]) == ("service", "fastapi")
        assert service["right"] == fastapi["right"] > 50


def _installed(venvs: Path, peer: str, script: str) -> None:
    """An environment whose Python is a shell script."""
    python = venvs / peer / "bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    requirements = (HERE / f"peers/{peer}.txt").read_text()
    (venvs / peer / "requirements.txt").write_text(requirements)
    (venvs / peer / "constraints.txt").write_text(constraints_beside(requirements))


def test_parts_can_be_measured_alone(
    published: tuple[Store, Version], capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--models", str(published[0].folder.parent)]
    assert main([*store, "--seconds", "0.05", "--rounds", "1", "--only", "limits"]) == 0
    printed = capsys.readouterr().out
    assert "network, 64 a call" in printed
    assert "service" not in printed


def test_without_a_version_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--models", str(tmp_path)]) == 1
    assert "bench: no model version to measure" in capsys.readouterr().err


def test_without_wrk_the_built_in_client_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "slower than wrk" in Tool.found("auto").name
