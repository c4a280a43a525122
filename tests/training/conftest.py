"""One small trained network, shared by all tests that need one.

Trained in a second on the digits of scikit-learn: accurate enough to classify digits, and cheap
enough to train anew in each test session.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.data import DIGITS, DataSet
from training.embedded import written_digits
from training.recipe import Recipe
from training.run import Run
from training.train import train_into

OPTIONS: dict[str, Any] = {
    "epochs": 6, "batch_size": 32, "rotation": 0, "scale": 0, "shear": 0, "shift": 0, "spoiled": 0,
    "threads": 1,
}  # fmt: skip
RECIPE = Recipe(**OPTIONS)


@pytest.fixture(scope="session")
def small_data() -> DataSet:
    """600 training images and 200 test images."""
    pixels, labels = written_digits()
    return DataSet(
        wanted="small",
        name="small",
        source="scikit-learn",
        labels=DIGITS,
        train=(pixels[:600], labels[:600]),
        test=(pixels[600:800], labels[600:800]),
    )


@pytest.fixture(scope="session")
def small_folder(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images as four IDX files."""
    folder = tmp_path_factory.mktemp("small")
    for part, (pixels, labels) in (("train", small_data.train), ("t10k", small_data.test)):
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(content)
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of all parallel test processes makes; the others wait and read it."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    done = shared / f"{name}.done"
    with done.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(shared / name)
            done.touch()
    return shared / name


@pytest.fixture(scope="session")
def run(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished training run. Tests that change it take a copy."""
    return Run.latest(
        made_once(tmp_path_factory, "runs", lambda runs: train_into(runs, small_data, RECIPE))
    )


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than a training of 600 images. `run`, of the session, has them."""
    monkeypatch.setattr("training.train.write_plots", lambda *_: None)
