"""A run writes scalars, histograms, images and the graph for TensorBoard."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from training.progress import Epoch
from training.run import Run
from training.watch import Board


def test_every_epoch_has_scalars_histograms_and_images(run: Run) -> None:
    events = EventAccumulator(str(run.folder / "tensorboard"), {"images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {
        "loss/training", "loss/validation", "accuracy/training", "accuracy/validation",
        "learning rate",
    }  # fmt: skip
    losses = [(event.step, event.value) for event in events.Scalars("loss/training")]
    history = run.metrics()["history"]
    assert [step for step, _ in losses] == [epoch["epoch"] for epoch in history]
    assert abs(losses[0][1] - history[0]["loss"]) < 1e-6
    weights = [name for name in run.checkpoint().weights if name.endswith(("weight", "bias"))]
    assert set(tags["histograms"]) == set(weights)
    assert {tag.partition("/")[0] for tag in tags["images"]} == {"learned from", "misclassified"}
    assert tags["graph"]


FULL = """
import resource, sys
from pathlib import Path
from torch import nn
from training.progress import Epoch
from training.watch import Board

with Board(Path(sys.argv[1])) as board:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, most))  # as if the disk had no more room
    for number in range(1, 200):
        board.epoch(Epoch(number, 0.1, 0.9, None, None, 0.01, 1.0), nn.Linear(50, 50))
print("trained to the end")
"""


@pytest.mark.slow
def test_a_full_disk_ends_the_files_but_not_the_training(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert result.stdout == "trained to the end\n"
    assert result.stderr.startswith("TensorBoard's files cannot be written (File too large)")
    assert len(result.stderr.splitlines()) == 1


class Untraceable(nn.Module):
    def forward(self, images: Tensor) -> set[Tensor]:  # which the tracer does not know
        return {images.flatten(1)}


def test_a_network_without_a_graph_trains_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Board(tmp_path) as board:
        board.begin(Untraceable(), torch.zeros(2, 1, 28, 28))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "does not show the network's graph: it cannot be traced (RuntimeError" in (printed.err)
    assert EventAccumulator(str(tmp_path), {"images": 0}).Reload().Tags()["images"]


def test_a_folder_that_cannot_be_written_to_is_reported(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorboard").write_text("a file in place of the folder")
    with Board(tmp_path / "tensorboard") as board:
        board.epoch(Epoch(**run.metrics()["history"][0]), run.checkpoint().build())
    assert "the training goes on without them" in capsys.readouterr().err
