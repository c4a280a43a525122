"""A network that `save_model` wrote to one file is exported with the images of a data set."""

from pathlib import Path

import pytest
import torch

from contract.store import Store
from export.__main__ import main
from export.saved import run_of
from tests.export.foreign import Imported
from training.run import Run


@pytest.fixture
def saved(run: Run, tmp_path: Path) -> Path:
    run.checkpoint().save(tmp_path / "seven.pt")
    return tmp_path / "seven.pt"


def words(file: Path, *more: str | Path) -> list[str]:
    folders = ("--runs", file.parent / "runs", "--models", file.parent / "models")
    return [str(word) for word in ("--run", file, *folders, "--artifacts", "onnx", *more)]


def test_its_numbers_are_those_of_the_named_images(
    saved: Path, run: Run, small_folder: Path, tmp_path: Path
) -> None:
    assert main(words(saved, "--data", small_folder)) == 0
    card = Store(tmp_path / "models", "digits").open().card
    assert card.evaluation is not None
    assert card.data_set is not None
    assert card.evaluation.accuracy == run.checkpoint().evaluation.accuracy  # the same 200 images
    assert card.data_set.test == 200
    assert f"tested on {small_folder}" in card.data_set.source
    assert not (tmp_path / "runs" / "latest").exists()


def test_8_bit_integers_are_calibrated_on_other_images_than_they_are_measured_on(
    saved: Path, small_folder: Path, tmp_path: Path
) -> None:
    run = run_of(saved, str(small_folder), tmp_path / "runs", calibrate=True)
    (pixels, labels), apart = run.test_set(), run.calibration()
    assert (len(pixels), len(apart)) == (160, 40)
    assert not {image.tobytes() for image in pixels} & {image.tobytes() for image in apart}
    assert set(labels.tolist()) == set(range(10))
    assert run.checkpoint().data_set.test == 160


def test_it_needs_images(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(saved)) == 1
    assert "seven.pt has no test images on which an export can be proven" in capsys.readouterr().err
    assert main(words(saved, "--data", "nowhere")) == 1
    assert "there is no folder, file or data set nowhere" in capsys.readouterr().err


def test_a_run_has_its_own_images(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run.folder), "--data", "mnist"]) == 1
    assert "a run has its own test images" in capsys.readouterr().err


def test_a_plain_state_dict_is_imported(
    saved: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = run.checkpoint().build()
    torch.save(network.state_dict(), saved)
    assert main(words(saved, "--data", "mnist")) == 1
    assert "export import --torch NETWORK --weights" in capsys.readouterr().err
    (tmp_path / "labels.txt").write_text("\n".join("0123456789"))
    more = ("--labels", tmp_path / "labels.txt", "--size", "28", "--gray", "--name", "own")
    assert main([str(each) for each in (
        "import", "--torch", "compact", "--weights", saved, "--models", tmp_path / "models", *more
    )]) == 0  # fmt: skip
    model = Imported(tmp_path / "models")
    assert model.card.preparation.kind == "digit"
    pixels, _ = run.test_set()
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels[:, None]) / 255)
    assert torch.allclose(torch.from_numpy(model(pixels)[0]), expected, atol=1e-4)
