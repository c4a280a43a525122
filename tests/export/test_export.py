"""What is published answers as PyTorch does; what does not is not published."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from contract.store import Store, Version
from export import proof, speed
from export.__main__ import export, main
from export.artifacts import write_onnx, write_torchscript
from export.graph import Graph
from export.proof import Answers, ProofFailed, prove
from training.model import NETWORKS, build
from training.run import BadRun, Run


@pytest.fixture
def graph(run: Run) -> Graph:
    checkpoint = run.checkpoint()
    return Graph(checkpoint.build(), checkpoint.temperature)


def test_pytorch_torchscript_and_onnx_agree_on_the_whole_test_set(
    run: Run, graph: Graph, version: Version
) -> None:
    pixels, _ = run.test_set()
    reference = proof.answers_of(proof.pytorch(graph), pixels)
    for model in (
        proof.onnx_runtime(version.folder / "model.onnx"),
        proof.torchscript(version.folder / "model.ts"),
    ):
        answers = proof.answers_of(model, pixels)
        assert np.array_equal(answers.digits, reference.digits)
        assert np.abs(answers.logits - reference.logits).max() <= 1e-4
        assert np.allclose(answers.probabilities.sum(1), 1, atol=1e-5)


def test_the_onnx_file_is_one_file_that_eats_raw_pixels_in_batches_of_any_size(
    version: Version,
) -> None:
    model = onnx.load(version.folder / "model.onnx", load_external_data=False)
    assert [t.data_location for t in model.graph.initializer] == [0] * len(model.graph.initializer)
    session = onnxruntime.InferenceSession(version.folder / "model.onnx")
    (pixels,) = session.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixels", "tensor(uint8)", ["n", 28, 28])
    for n in (1, 2, 65):
        logits, probabilities = session.run(None, {"pixels": np.zeros((n, 28, 28), np.uint8)})
        assert logits.shape == probabilities.shape == (n, 10)
        assert logits.dtype == probabilities.dtype == np.float32


def test_temperature_divides_the_logits_of_the_graph(run: Run, graph: Graph) -> None:
    checkpoint = run.checkpoint()
    pixels = torch.from_numpy(run.test_set()[0][:5])
    logits, probabilities = graph(pixels)
    bare, _ = Graph(checkpoint.build(), 1.0)(pixels)
    torch.testing.assert_close(logits * checkpoint.temperature, bare)
    torch.testing.assert_close(probabilities, torch.softmax(logits, 1))


def test_the_card_records_the_proof(version: Version, run: Run) -> None:
    assert version.card.run == run.id
    assert version.card.evaluation == run.checkpoint().evaluation
    for parity in version.card.parity.values():
        assert parity.different_answers == 0
        assert parity.largest_difference <= 1e-4
        assert parity.accuracy == pytest.approx(version.card.evaluation.accuracy)


def test_each_export_is_a_new_version_and_becomes_current(run: Run, tmp_path: Path) -> None:
    store = Store(tmp_path, "digits")
    assert [export(run, store).number for _ in range(2)] == [1, 2]
    assert store.current() == 2


def test_a_version_that_cannot_be_made_current_is_published_and_said_to_be(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits/current").mkdir(parents=True)
    assert main(["--run", str(run.folder), "--models", str(tmp_path)]) == 1
    assert "digits/1 is published but not current" in capsys.readouterr().err
    assert Store(tmp_path, "digits").open(1).card.parameters == 29_434


def test_a_store_that_is_no_folder_is_named(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits").write_text("a file")
    assert main(["--run", str(run.folder), "--models", str(tmp_path)]) == 1
    assert "digits" in capsys.readouterr().err


LOGITS = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], np.float32)
LABELS = np.array([0, 1, 1], np.uint8)


def answers(logits: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Answers:
    return Answers(logits, torch.softmax(torch.from_numpy(logits), 1).numpy())


def test_the_proof_measures_what_it_accepts() -> None:
    close = LOGITS + np.float32(2e-5)
    parity = prove("model.x", answers(close), answers(LOGITS), LABELS)
    assert parity.accuracy == pytest.approx(2 / 3)
    assert parity.largest_difference == pytest.approx(2e-5, rel=0.05)


@pytest.mark.parametrize(
    ("logits", "complaint"),
    [
        (LOGITS[:, ::-1].copy(), r"model\.x answers 3 of 3 test pictures otherwise"),
        (LOGITS + np.float32(2e-4), r"differs from PyTorch by up to 2\.00e-04"),
        (
            np.where(LOGITS.max(1, keepdims=True) == LOGITS, np.nan, LOGITS),
            "differs .* by up to nan",
        ),
    ],
    ids=["other answers", "other logits", "NaN"],
)
def test_an_artifact_that_is_not_the_same_model_fails_the_proof(
    logits: np.ndarray[tuple[int, int], np.dtype[np.float32]], complaint: str
) -> None:
    with pytest.raises(ProofFailed, match=complaint):
        prove("model.x", answers(logits), answers(LOGITS), LABELS)


def test_probabilities_that_are_no_softmax_fail_the_proof() -> None:
    wrong = Answers(LOGITS, np.full_like(LOGITS, 0.5))
    with pytest.raises(ProofFailed, match="not the softmax"):
        prove("model.x", wrong, answers(LOGITS), LABELS)


def test_a_run_whose_files_do_not_belong_together_publishes_nothing(
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


@pytest.mark.parametrize("content", [b"", b"PK nothing", b"text"])
def test_a_damaged_test_set_is_named(run: Run, tmp_path: Path, content: bytes) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    (tmp_path / "run/test_set.npz").write_bytes(content)
    with pytest.raises(BadRun, match=r"test_set\.npz is missing or damaged"):
        export(Run(tmp_path / "run"), Store(tmp_path / "models", "digits"))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_leaves_artifacts_that_answer_as_it_does(name: str, tmp_path: Path) -> None:
    graph = Graph(build(name, classes=26, dropout1=0.2, dropout2=0.3), temperature=0.7)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)
    write_onnx(graph, tmp_path / "model.onnx")
    write_torchscript(graph, tmp_path / "model.ts")
    reference = proof.answers_of(proof.pytorch(graph), pixels)
    for model in (
        proof.onnx_runtime(tmp_path / "model.onnx"),
        proof.torchscript(tmp_path / "model.ts"),
    ):
        answers = proof.answers_of(model, pixels)
        assert answers.logits.shape == (30, 26)
        proof.prove(name, answers, reference, np.zeros(30, np.uint8))


def test_the_speed_of_a_version_is_told_for_each_batch_size(
    published: tuple[Store, Version],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    assert speed.main(["--models", str(published[0].folder.parent)]) == 0
    assert capsys.readouterr().out.count("pictures/s") == len(speed.BATCHES)
    assert speed.main(["--models", str(tmp_path)]) == 1
    assert "has no current version" in capsys.readouterr().err
