"""A minimal complete run on the CPU against the real service."""

import json
import os
from pathlib import Path

import onnxruntime
import pytest

from contract.store import Store
from contract.version import Version
from loadtest.bench_gpu.__main__ import main
from tests.support.program import PATIENCE
from tests.support.running import ROOT


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DIGITSERVE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def models(published: tuple[Store, Version]) -> list[str]:
    return ["--models", str(published[0].folder.parent)]


@pytest.mark.slow
def test_a_run_measures_engine_service_and_gpu_utilisation(
    models: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support/fake_gpu"))
    monkeypatch.setenv("FAKE_GPU_FAULTS", str(tmp_path / "wrong"))
    monkeypatch.setenv("DIGITSERVE_MAX_BATCH", "2")
    monkeypatch.setenv("DIGITSERVE_MAX_PICTURES", "64")
    monkeypatch.setenv("DIGITSERVE_REQUEST_TIMEOUT", str(PATIENCE))
    words = ["--provider", "cpu", "--seconds", "0.3", "--workers", "1", "--client", "asyncio"]
    written = ["--json", str(tmp_path / "g.json"), "--markdown", str(tmp_path / "g.md")]
    assert main([*models, *words, *written]) == 0
    reported = json.loads((tmp_path / "g.json").read_text())
    engine = [
        (row["precision"], row["way"], row["pictures"]) for row in reported["engine"]["results"]
    ]
    assert sorted(engine) == sorted(
        (precision, way, pictures)
        for precision in ("fp32", "fp16")
        for way in ("plain", "bound")
        for pictures in (1, 2)
    )
    (crew,) = reported["crews"]
    assert crew["workers"] == 1
    assert crew["runs"] == {"provider": "cpu", "precision": "fp32", "way": "plain"}
    connections = [(row["pictures"], row["load"]["connections"]) for row in crew["rows"]]
    assert connections == [(1, 64), (64, 8)]
    for row in crew["rows"]:
        load = row["load"]
        assert (load["refused"], load["broken"]) == (0, 0)
        assert row["pictures_per_second"] == row["pictures"] * load["answers"] / load["seconds"] > 0
        assert 0 < load["p50"] <= load["p99"]
        assert row["cores"] > 0
        assert 0.3 <= row["gpu"]["busy"] <= 0.9
        assert row["gpu"]["memory_total"] == 80 * 2**30
    (skipped,) = crew["skipped"]
    assert skipped.startswith("256 pictures a request: answered 400")
    assert reported["conditions"]["settings"]["DIGITSERVE_MAX_PICTURES"] == "64"
    printed, document = capsys.readouterr().out, (tmp_path / "g.md").read_text()
    for text in (printed, document):
        for part in ("fp16", "1 PNG", "64, binary", "GPU busy", f"Not measured: {skipped}"):
            assert part in text
    for part in ("bench on a CPU", "slower than wrk", "cpu, fp32, plain"):
        assert part in document


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this ONNX Runtime was built for GPUs",
)
def test_a_missing_provider_is_reported_in_one_sentence(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "g.md"
    assert main([*models, "--markdown", str(file)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("bench_gpu: the provider cuda was requested, but")
    assert "docs/how-to/gpu.md" in sentence
    assert not file.exists()


def test_the_error_of_a_service_that_does_not_start_is_reported(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITSERVE_MAX_BATCH", "1")
    monkeypatch.setenv("DIGITSERVE_MAX_WAIT", "7")
    assert main([*models, "--provider", "cpu", "--seconds", "0.05", "--workers", "1"]) == 1
    output = capsys.readouterr()
    assert "bench_gpu: not measured: workers: 1 and more" in output.err
    assert "DIGITSERVE_MAX_WAIT=7" in output.err
    assert "fp16    bound" in output.out


def test_without_a_version_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--models", str(tmp_path)]) == 1
    assert "bench_gpu: no model version to measure" in capsys.readouterr().err
