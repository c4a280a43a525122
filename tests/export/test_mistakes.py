"""A version includes the test images that it misclassifies, the most confident ones first."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.store import Store
from contract.version import Version
from export.export import export
from export.proof import Predictions
from export.runners import onnx_runtime
from export.samples import write_mistakes
from training.run import Run

NAMES = ("zero", "one", "two")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (300, 28, 28), np.uint8)


def answers(digits: NDArray[np.int64]) -> Predictions:
    """Predictions of those digits; the confidence rises a little with each image."""
    logits = np.zeros((len(digits), len(NAMES)), np.float32)
    logits[np.arange(len(digits)), digits] = np.linspace(1, 3, len(digits))
    powers = np.exp(logits)
    return Predictions(logits, powers / powers.sum(1, keepdims=True))


def cells(sheet: Path) -> Any:
    """The cells of the sheet row by row, (n, 28, 28)."""
    pixels = np.asarray(Image.open(sheet))
    return pixels.reshape(-1, 28, 10, 28).swapaxes(1, 2).reshape(-1, 28, 28)


def test_a_version_includes_its_misclassified_images(version: Version, run: Run) -> None:
    pixels, labels = run.test_set()
    probabilities = onnx_runtime(version.folder / "model.onnx")(pixels)[1]
    found = probabilities.argmax(1)
    wrong = np.flatnonzero(found != labels)
    assert len(wrong) > 1
    order = wrong[np.argsort(-probabilities.max(1)[wrong])]
    facts = json.loads(version.read("mistakes.json"))
    assert [*facts] == [
        "side", "height", "width", "channels", "columns", "labels", "answers", "confidences",
    ]  # fmt: skip
    assert (facts["side"], facts["columns"]) == (28, 10)
    assert facts["labels"] == [str(label) for label in labels[order]]
    assert facts["answers"] == [str(digit) for digit in found[order]]
    assert facts["confidences"] == pytest.approx(probabilities.max(1)[order].tolist(), abs=1e-5)
    assert facts["confidences"] == sorted(facts["confidences"], reverse=True)
    assert np.array_equal(cells(version.folder / "mistakes.png")[: len(order)], pixels[order])


def test_at_most_the_100_most_confident_are_shown(tmp_path: Path) -> None:
    labels = np.zeros(300, np.uint8)
    digits = np.arange(300) % 3  # two of three are wrong
    write_mistakes(tmp_path, PIXELS, labels, NAMES, answers(digits))
    facts = json.loads((tmp_path / "mistakes.json").read_text())
    assert len(facts["labels"]) == len(facts["answers"]) == len(facts["confidences"]) == 100
    assert (facts["labels"][:2], facts["answers"][:2]) == (["zero"] * 2, ["two", "one"])
    surest = [each for each in range(299, -1, -1) if each % 3][:100]
    assert np.array_equal(cells(tmp_path / "mistakes.png"), PIXELS[surest])


def test_the_last_row_is_filled_with_black(tmp_path: Path) -> None:
    labels = np.zeros(13, np.uint8)
    write_mistakes(tmp_path, PIXELS[:13], labels, NAMES, answers(np.ones(13, np.int64)))
    sheet = cells(tmp_path / "mistakes.png")
    assert len(sheet) == 20
    assert np.array_equal(sheet[:13], PIXELS[12::-1])
    assert not sheet[13:].any()


def test_a_version_without_errors_has_no_such_files(tmp_path: Path) -> None:
    labels = np.ones(5, np.uint8)
    write_mistakes(tmp_path, PIXELS[:5], labels, NAMES, answers(np.ones(5, np.int64)))
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_a_run_without_reliability_bins_is_exported(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    path = tmp_path / "run/training_metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["reliability"]
    path.write_text(json.dumps(metrics))
    exported = export(Run(tmp_path / "run"), Store(tmp_path, "digits"), artifacts=("onnx",))
    assert "reliability" not in json.loads(exported.read("training_metrics.json"))
