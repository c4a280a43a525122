"""A training runs on the requested device or fails, and in several processes as in one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.data import DataSet
from training.place import place_of
from training.recipe import BadRecipe, Recipe, halves
from training.run import Run
from training.train import train_into

ROOT = Path(__file__).parent.parent.parent


def test_auto_uses_the_available_device() -> None:
    with place_of(Recipe()) as place:
        assert place.first
        assert place.processes == 1
        assert (place.device.type == "cpu") == (
            not torch.cuda.is_available() and not torch.backends.mps.is_available()
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="the test needs a machine without a GPU")
def test_requesting_an_absent_gpu_is_an_error() -> None:
    message = r"--device is cuda, but PyTorch .* finds none on this machine"
    with pytest.raises(BadRecipe, match=message), place_of(Recipe(device="cuda")):
        pass


@pytest.mark.skipif(halves("auto"), reason="the test needs a machine without half precision")
def test_requesting_half_precision_of_a_device_without_it_is_an_error() -> None:
    message = "which does not: use --no-mixed-precision"
    with pytest.raises(BadRecipe, match=message), place_of(Recipe(mixed_precision=True)):
        pass


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "training"]
# Without randomness and BatchNorm, a step on two halves of a batch equals a step on the whole.
PLAIN = {
    "network": "mlp", "dropout1": 0.0, "dropout2": 0.0, "epochs": 2, "plain_epochs": 2,
    "threads": 1, "validation": 0.1, "batch_size": 32,
}  # fmt: skip


@pytest.mark.slow
def test_two_processes_reach_the_weights_of_one(
    small_data: DataSet, small_folder: Path, tmp_path: Path
) -> None:
    words = [f"--{name.replace('_', '-')}={value}" for name, value in PLAIN.items()]
    command = [*TORCHRUN, "--data", str(small_folder), *words, "--runs", str(tmp_path / "two")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch    loss") == 1  # only the first process prints
    (folder,) = (tmp_path / "two").glob("2*")  # and only the first writes
    two, one = Run(folder), train_into(tmp_path / "one", small_data, Recipe.made_of(PLAIN))
    assert two.metrics()["device"] == "2 x cpu"
    assert two.metrics()["history"][0]["loss"] == pytest.approx(
        one.metrics()["history"][0]["loss"], rel=1e-3
    )
    assert two.metrics()["accuracy"] == pytest.approx(one.metrics()["accuracy"], abs=0.006)
    for name, weights in one.checkpoint().weights.items():
        torch.testing.assert_close(two.checkpoint().weights[name], weights, atol=5e-3, rtol=0.05)


@pytest.mark.slow
def test_a_batch_size_not_divisible_by_the_processes_is_rejected(
    small_folder: Path, tmp_path: Path
) -> None:
    words = ["--data", str(small_folder), "--batch-size", "127", "--runs", str(tmp_path / "runs")]
    done = subprocess.run(
        [*TORCHRUN, *words], cwd=ROOT, capture_output=True, text=True, timeout=180
    )
    assert done.returncode != 0
    assert "--batch-size 127 is not divisible by 2 processes" in done.stderr
    assert not (tmp_path / "runs").exists()
