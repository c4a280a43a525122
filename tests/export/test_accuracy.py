"""Digits are posted to a service, and its answers compared with those of the checkpoint."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from tools.accuracy import main
from training.checkpoint import load_images, save_images
from training.run import TEST_SET, Run


@pytest.fixture
def runs(run: Run, tmp_path: Path) -> Path:
    """A copy of the run, whose test digits have no gray levels: some are not passed through."""
    shutil.copytree(run.folder, tmp_path / "runs" / run.folder.name)
    images = tmp_path / "runs" / run.folder.name / TEST_SET
    pixels, labels = load_images(images)
    bitmaps = np.where(pixels > 127, 255, 0).astype(np.uint8)
    save_images(images, pixels=bitmaps, labels=labels)
    return tmp_path / "runs"


def test_answers_are_compared_for_digits_as_the_service_prepares_them(
    published: tuple[Store, Version],
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MNIST_DIR", raising=False)
    words = ["--models", str(published[0].folder.parent), "--runs", str(runs)]
    assert main([*words, "--at-least", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert "of 200 digits classified correctly" in printed
    assert " 0 answers other than PyTorch's" in printed
    assert main([*words, "--at-least", "1"]) == 1
