"""Where a training runs: what is asked for, or an error; in several processes as in one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.data import embedded
from training.place import place_of
from training.recipe import BadRecipe, Recipe
from training.train import train_into

ROOT = Path(__file__).parent.parent.parent


def test_auto_takes_what_there_is() -> None:
    with place_of(Recipe()) as place:
        assert place.first
        assert place.processes == 1
        assert (place.device.type == "cpu") == (
            not torch.cuda.is_available() and not torch.backends.mps.is_available()
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test misses")
@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        (Recipe(device="cuda"), r"--device is cuda, but PyTorch .* finds none on this machine"),
        (Recipe(mixed_precision=True), r"--mixed-precision is for CUDA, --device auto is \w+ here"),
    ],
)
def test_a_gpu_that_is_asked_for_and_absent_is_an_error(recipe: Recipe, complaint: str) -> None:
    with pytest.raises(BadRecipe, match=complaint), place_of(recipe):
        pass


def test_two_processes_train_one_network_as_well_as_one_does(tmp_path: Path) -> None:
    words = ["--data", "digits", "--epochs", "4", "--threads", "1", "--runs", str(tmp_path / "two")]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "-m",
        "training",
    ]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch    loss") == 1  # one of them speaks
    (folder,) = (tmp_path / "two").glob("2*")  # and writes
    two = json.loads((folder / "training_metrics.json").read_text())
    assert two["device"] == "2 x cpu"

    data = embedded()
    recipe = Recipe.made_of(data.recipe, {"epochs": 4, "threads": 1})
    one = train_into(tmp_path / "one", data, recipe).metrics()
    assert two["accuracy"] == pytest.approx(one["accuracy"], abs=0.015)
    assert two["recipe"] == one["recipe"]


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "-m",
        "training",
    ]
    words = ["--data", "digits", "--batch-size", "127", "--runs", str(tmp_path / "runs")]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode != 0
    assert "--batch-size 127 is no multiple of 2 processes" in done.stderr
    assert not (tmp_path / "runs").exists()
