"""Only versions that predict as PyTorch does are published."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contract import signature
from contract.errors import NoVersion
from contract.store import Store
from contract.version import Version
from export.__main__ import main
from export.artifacts import ARTIFACTS, Source
from export.export import export
from export.runners import Graph, onnx_runtime
from tests.support.running import ROOT
from training.data import DataSet
from training.model import build
from training.run import BadRun, Run

FEW = ("onnx",)  # the only artifact of tests about something else


@pytest.fixture(autouse=True)
def _written_before(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the model.onnx of `run`: PyTorch takes seconds to write the same file again."""
    proper = ARTIFACTS["onnx"]

    def write(source: Source, path: Path) -> None:
        if source.opset == version.card.opset:
            shutil.copy(version.folder / path.name, path)
        else:
            proper.write(source, path)

    monkeypatch.setitem(ARTIFACTS, "onnx", replace(proper, write=write))


def test_the_card_records_the_proof_of_every_artifact(version: Version, run: Run) -> None:
    card = version.card
    assert card.run == run.id
    assert card.evaluation == run.checkpoint().evaluation
    for name in ("model.onnx", "model.ts", "model.pt2"):
        assert card.parity[name].different_answers == 0
        assert card.parity[name].largest_difference <= 1e-4
        assert card.parity[name].accuracy == pytest.approx(card.evaluation.accuracy)
    for name, parity in card.parity.items():
        assert parity.mean_difference <= parity.largest_difference
        assert 0 < parity.seconds_1 < parity.seconds_64
        assert card.files[name].size == (version.folder / name).stat().st_size
    assert card.parity["model.fp16.onnx"].largest_difference > 1e-4


def held_out(run: Run, folder: Path, data: DataSet, images: slice) -> Run:
    """A copy of the run whose validation set is those images of `data`."""
    shutil.copytree(run.folder, folder)
    pixels, labels = (part[images] for part in data.train)
    np.savez_compressed(folder / "validation_set.npz", pixels=pixels, labels=labels)
    return Run(folder)


def test_the_card_records_the_acceptance_threshold(
    run: Run, small_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = held_out(run, tmp_path / "run", small_data, slice(300))
    words = ["--run", str(own.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    assert main(words) == 0
    version = Store(tmp_path, "digits").open()
    found = version.card.acceptance
    assert found is not None
    assert f"Accepted from a confidence of {found.threshold:.4f}: " in capsys.readouterr().err
    assert found.validation_accuracy is not None
    assert found.validation_accuracy >= found.wanted == 0.999
    pixels, labels = run.test_set()
    _, probabilities = onnx_runtime(version.folder / "model.onnx")(pixels)
    taken = probabilities.max(1) >= found.threshold
    assert found.test_accepted == pytest.approx(taken.mean())
    right = (probabilities.argmax(1) == labels)[taken]
    assert found.test_accuracy == pytest.approx(right.mean())


def test_the_card_records_how_images_that_are_no_digit_are_recognised(
    run: Run, small_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = held_out(run, tmp_path / "run", small_data, slice(300))
    others = np.random.default_rng(0).integers(0, 256, (2, 100, 28, 28), np.uint8)
    np.savez_compressed(own.folder / "non_digits.npz", validation=others[0], test=others[1])
    words = ["--run", str(own.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    assert main(words) == 0
    version = Store(tmp_path, "digits").open()
    found = version.card.non_digits
    assert found is not None
    assert (found.validation, found.test) == (100, 100)
    assert f"Recognised below a confidence of {found.threshold:.4f}" in capsys.readouterr().err
    model = onnx_runtime(version.folder / "model.onnx")
    confidence, of_digits = (model(each)[1].max(1) for each in (others[1], run.test_set()[0]))
    assert found.test_accepted == pytest.approx((confidence >= found.threshold).mean())
    assert found.test_refused == pytest.approx((of_digits < found.threshold).mean())
    (own.folder / "non_digits.npz").write_bytes(b"PK nothing")
    assert main(words) == 1
    assert "non_digits.npz is missing or damaged" in capsys.readouterr().err


def test_a_run_with_few_validation_images_is_published_without_a_threshold(
    run: Run, small_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = held_out(run, tmp_path / "few", small_data, slice(30))
    older = held_out(run, tmp_path / "older", small_data, slice(30))
    (older.folder / "validation_set.npz").unlink()
    for each in (few, older):
        words = ["--run", str(each.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
        assert main(words) == 0
        assert "No threshold: the run has too few" in capsys.readouterr().err
        assert Store(tmp_path, "digits").open().card.acceptance is None


def test_the_error_names_a_damaged_validation_set(
    run: Run, small_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = held_out(run, tmp_path / "run", small_data, slice(300))
    (own.folder / "validation_set.npz").write_bytes(b"PK nothing")
    assert main(["--run", str(own.folder), "--models", str(tmp_path / "models")]) == 1
    assert "validation_set.npz is missing or damaged" in capsys.readouterr().err


def test_the_version_holds_the_plots_and_metrics_of_the_run(version: Version, run: Run) -> None:
    for name in ("training_metrics.json", "confusion_matrix.png", "loss_graph.png"):
        assert version.read(name) == (run.folder / name).read_bytes()


def test_a_version_may_be_published_without_activating_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    assert main([*words, "--no-activate"]) == 0
    assert "digits/1, not made current" in capsys.readouterr().err
    with pytest.raises(NoVersion):
        Store(tmp_path, "digits").current()


@pytest.mark.slow
def test_only_the_requested_artifacts_are_built_and_recorded(run: Run, tmp_path: Path) -> None:
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--name", "letters"]
    assert main([*words, "--artifacts", "ts", "--opset", "20"]) == 0
    card = Store(tmp_path, "letters").open().card
    assert {*card.parity} == {"model.onnx", "model.ts"}
    assert set(card.left_out.values()) == {"it was not requested"}
    assert {*card.left_out} == {"model.fp16.onnx", "model.int8.onnx", "model.pt2"}
    assert (card.name, card.opset) == ("letters", 20)


@pytest.mark.parametrize("words", [["--artifacts", "onnx,tflite"], ["--opset", "7"]])
def test_impossible_requests_are_rejected_before_anything_is_done(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert words[1].split(",")[-1] in capsys.readouterr().err


def another(source: Source) -> Source:
    """A copy of the run with the weights of an untrained network."""
    torch.manual_seed(1)
    network = build("compact", classes=10, dropout1=0, dropout2=0)
    return replace(source, graph=Graph(network, source.graph.temperature))


def test_a_failed_proof_publishes_nothing_and_saves_the_offending_images(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = tmp_path / "runs/own"
    shutil.copytree(run.folder, own)
    proper = ARTIFACTS["ts"]
    spoiled = replace(proper, write=lambda source, path: proper.write(another(source), path))
    monkeypatch.setitem(ARTIFACTS, "ts", spoiled)
    words = ["--run", str(own), "--models", str(tmp_path / "models"), "--artifacts", "ts"]
    assert main(words) == 1
    message = capsys.readouterr().err
    assert "model.ts predicts" in message
    assert "of 200 test images differently from PyTorch" in message
    assert f"its images and logits are in {own / 'failed_proof'}. Nothing was published." in message
    assert Store(tmp_path / "models", "digits").versions() == []
    report = json.loads((own / "failed_proof/report.json").read_text())
    images = [path.name for path in (own / "failed_proof").glob("*.png")]
    assert sorted(images) == sorted(each["file"] for each in report["images"])
    assert len(images) == min(100, report["offending"])
    for each in report["images"]:
        assert each["pytorch"]["answer"] != each["artifact"]["answer"]
    monkeypatch.undo()
    assert main(words) == 0
    assert not (own / "failed_proof").exists()


@pytest.mark.slow
def test_an_artifact_that_loses_too_much_accuracy_is_left_out_with_the_reason(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proper = ARTIFACTS["fp16"]
    spoiled = replace(proper, write=lambda source, path: proper.write(another(source), path))
    monkeypatch.setitem(ARTIFACTS, "fp16", spoiled)
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--artifacts", "fp16"]
    assert main(words) == 0
    assert "model.fp16.onnx is left out: its accuracy" in capsys.readouterr().err
    version = Store(tmp_path, "digits").open()
    message = "more than the 0.50 allowed"  # one image of 200
    assert message in version.card.left_out["model.fp16.onnx"]
    assert "model.fp16.onnx" not in version.card.files
    assert not (version.folder / "model.fp16.onnx").exists()


def test_the_given_key_signs_the_version(run: Run, tmp_path: Path) -> None:
    public = signature.generate(tmp_path / "key.pem")
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    assert main([*words, "--signing-key", str(tmp_path / "key.pem")]) == 0
    assert Store(tmp_path, "digits", signature.trust([public])).open().number == 1


def test_with_trusted_keys_an_unsigned_export_is_rejected_before_it_starts(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITSERVE_TRUSTED_KEYS", signature.generate(tmp_path / "key.pem"))
    monkeypatch.setenv("DIGITSERVE_MODELS", str(tmp_path))
    assert main(["--run", str(run.folder), "--artifacts", "onnx"]) == 1
    assert "digits is not signed" in capsys.readouterr().err
    assert Store(tmp_path, "digits").versions() == []
    assert main(["--run", str(run.folder), "--artifacts", "onnx",
                 "--signing-key", str(tmp_path / "key.pem")]) == 0  # fmt: skip
    assert Store(tmp_path, "digits").current() == 1


@pytest.mark.slow
def test_concurrent_exports_publish_two_versions_and_activate_one(run: Run, tmp_path: Path) -> None:
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    command = [sys.executable, "-m", "export", *words]
    exports = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    message = [each.communicate()[1] for each in exports]
    assert [each.returncode for each in exports] == [0, 0], message
    store = Store(tmp_path, "digits")
    assert store.versions() == [1, 2]
    assert store.open().number in (1, 2)
    assert [path.name for path in store.folder.glob(".draft-*")] == []


def test_a_missing_key_publishes_nothing(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    assert main([*words, "--signing-key", str(tmp_path / "key.pem")]) == 1
    assert "key.pem cannot be read" in capsys.readouterr().err
    assert Store(tmp_path, "digits").versions() == []


def test_a_version_that_cannot_be_activated_is_published_and_reported(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits/current").mkdir(parents=True)
    words = ["--run", str(run.folder), "--models", str(tmp_path), "--artifacts", "onnx"]
    assert main(words) == 1
    assert "digits/1 is published but not current" in capsys.readouterr().err
    assert Store(tmp_path, "digits").open(1).card.parameters == 29_434


def test_the_error_names_a_file_in_place_of_the_store(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits").write_text("a file")
    assert main(["--run", str(run.folder), "--models", str(tmp_path)]) == 1
    assert f"{tmp_path / 'digits'}" in capsys.readouterr().err


def test_a_run_with_inconsistent_files_publishes_nothing(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = tmp_path / "runs/mixed"
    shutil.copytree(run.folder, mixed)
    pixels, labels = run.test_set()
    np.savez_compressed(mixed / "test_set.npz", pixels=pixels, labels=np.roll(labels, 1))
    assert main(["--run", str(mixed), "--models", str(tmp_path / "models")]) == 1
    assert "different runs. Nothing was published." in capsys.readouterr().err
    assert Store(tmp_path / "models", "digits").versions() == []


def test_without_a_run_the_command_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs", str(tmp_path), "--models", str(tmp_path / "models")]) == 1
    assert "make train" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test_set.npz", "calibration.npz"])
@pytest.mark.parametrize("content", [None, b"PK nothing"])
def test_the_error_names_damaged_test_images(
    run: Run, tmp_path: Path, name: str, content: bytes | None
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    if content is not None:
        (tmp_path / "run" / name).write_bytes(content)
    with pytest.raises(BadRun, match=rf"{name} is missing or damaged"):
        export(Run(tmp_path / "run"), Store(tmp_path / "models", "digits"))
    if name == "calibration.npz":  # only the int8 model needs them
        export(Run(tmp_path / "run"), Store(tmp_path / "models", "digits"), artifacts=FEW)
