"""`python -m service.engine.benchmark` measures every engine that this machine has."""

import json
import time
from pathlib import Path

import onnxruntime
import pytest

from contract.store import Store
from contract.version import Version
from service.engine.benchmark import main, use_during
from tests.support.program import PATIENCE

BRIEF = ["--max-batch", "3", "--rounds", "2", "--seconds", "0.001", "--threads", "1"]


@pytest.fixture
def models(published: tuple[Store, Version]) -> list[str]:
    return ["--models", str(published[0].folder.parent)]


def test_every_precision_mode_and_bucket_is_measured(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.json"
    assert main([*models, *BRIEF, "--provider", "cpu", "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    measured = [(row["precision"], row["way"], row["pictures"]) for row in report["results"]]
    assert sorted(measured) == sorted(
        (precision, way, pictures)
        for precision in ("fp32", "fp16", "int8")
        for way in ("plain", "bound")
        for pictures in (1, 2, 3)
    )
    for row in report["results"]:
        assert row["provider"] == "cpu"
        assert 0 < row["p50_seconds"] <= row["p99_seconds"]
        assert row["pictures_per_second"] > 0
        assert row["calls"] >= 2
    assert report["left_out"] == []
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(measured)


def test_a_requested_engine_that_does_not_run_here_is_skipped_with_the_reason(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--provider", "cpu", "--precision", "fp32", "--way", "plain", "graph"]
    assert main([*models, *BRIEF, *words]) == 0
    assert "left out: fp32, graph: plain runs serve" in capsys.readouterr().out


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this ONNX Runtime was built for GPUs",
)
def test_a_missing_provider_is_reported_and_fails(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*models, "--provider", "cuda"]) == 2
    assert (
        "service.engine.benchmark: the provider cuda was requested, but" in capsys.readouterr().err
    )


# ---- utilisation of the GPU -------------------------------------------------------------------


def nvidia_smi(folder: Path, *lines: str) -> None:
    """A fake nvidia-smi that prints these lines and then waits to be terminated."""
    said = "\n".join(f"echo '{line}'" for line in lines)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{said}\ntouch {folder}/said\nexec sleep 60\n")
    program.chmod(0o755)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_gpu_utilisation_is_measured_while_the_work_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = "Big GPU, 580.1, 40, 1000, 8000", "Big GPU, 580.1, 60, 3000, 8000"
    nvidia_smi(tmp_path, first, second, "Big GPU, 58")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    use = use_during(lambda: wait_for(tmp_path / "said"))
    assert str(use) == "Big GPU: 50% busy, 3,000 MiB used, 5,000 MiB left"


def test_a_gpu_that_does_not_report_utilisation_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path, "Part of a GPU, 580.1, [N/A], 1000, 8000")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    use = use_during(lambda: wait_for(tmp_path / "said"))
    assert "does not report how busy it is" in str(use)


def test_the_work_is_done_without_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done: list[bool] = []
    assert use_during(lambda: done.append(True)) is None
    assert done == [True]
