"""docker/trainer.py --if-none: when a container of compose trains at all."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import CARD, Version
from tests.support.running import ROOT


@pytest.fixture
def models(published: tuple[Store, Version], tmp_path: Path) -> Path:
    """A store whose current version was trained on scikit-learn's digits."""
    shutil.copytree(published[0].folder, tmp_path / "digits")
    card = tmp_path / f"digits/{published[0].current()}" / CARD
    text = re.sub(r'("data_set": {\s*"name": )"\w+"', r'\1"digits"', card.read_text())
    card.write_text(text)
    return tmp_path


def trainer(models: Path, *words: str, **environment: str) -> tuple[int, str]:
    """The exit code and the messages; --help stands for a training, which it would begin with."""
    settings = {"DIGITSERVE_MODELS": str(models), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, ROOT / "docker/trainer.py", "--if-none", *words],
        env=os.environ | settings | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


def test_a_version_of_the_digits_that_replace_mnist_says_how_to_train_on_mnist(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNIST_DIR", raising=False)
    code, messages = trainer(models, DIGITSERVE_COMPOSE="true")
    assert code == 0
    assert "nothing to train" in messages
    assert "MNIST_DIR=/path/to/mnist docker compose run --rm trainer" in messages


@pytest.mark.slow
def test_with_mnist_at_hand_it_trains_anew(models: Path) -> None:
    _, messages = trainer(models, "--help", MNIST_DIR="/mnist")
    assert "training on MNIST" in messages


def test_digits_that_were_requested_are_kept(models: Path) -> None:
    code, messages = trainer(models, "--data=digits", MNIST_DIR="/mnist")
    assert (code, "nothing to train" in messages) == (0, True)
