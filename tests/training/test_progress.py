"""Progress is a table of epochs; a terminal also gets a bar with loss, speed and time left.

Other programs read progress.jsonl.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console

from contract import jobs
from training.progress import HEAD, Epoch, Progress, Record


def epoch(number: int, *, judged: bool = True) -> Epoch:
    return Epoch(
        number, 0.25, 0.975, 0.0313 if judged else None, 0.991 if judged else None, 0.01, 83
    )


def shown(epochs: int, *, terminal: bool) -> str:
    """The output of a training with 10 steps per epoch."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    with Progress(10, epochs, 128, console=console, pause=0) as progress:
        for number in range(1, epochs + 1):
            progress.step((number - 1) * 10 + 5, torch.tensor([0.25, 0.975]))
            progress.epoch(epoch(number))
    return out.getvalue()


def test_an_epoch_is_printed_as_a_row_under_the_header() -> None:
    row = str(epoch(7))
    assert row.split() == ["7", "0.2500", "97.50%", "0.0313", "99.10%", "1.00e-02", "83", "s"]
    assert len(row) == len(str(epoch(7, judged=False))) <= len(HEAD) <= 80


def test_without_a_terminal_progress_is_a_few_plain_lines() -> None:
    lines = shown(200, terminal=False).splitlines()
    assert lines[0] == HEAD
    assert lines[1].split()[0] == "1"
    assert lines[-1].split()[0] == "200"
    assert len(lines) <= 23
    assert not any("\x1b" in line or "\r" in line for line in lines)


@pytest.mark.parametrize("word", ["epoch 3/3", "loss 0.250", "97.5%", r"[\d,]+/s", "left"])
def test_in_a_terminal_a_bar_shows_loss_accuracy_speed_and_time_left(word: str) -> None:
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown(3, terminal=True))
    assert re.search(word, plain)
    assert all(len(line) <= 80 for line in re.split(r"[\r\n]+", plain))


@dataclass
class Measured:
    """A training that has run for 83 s on two cores."""

    learning_rate: float = 0.01
    seconds: float = 83.0
    cpu_seconds: float = 166.0


def record(file: Path, *, pause: float) -> Record:
    """That of a training with 2 epochs of 10 steps."""
    return Record(file, Measured(), steps=10, epochs=2, batch_size=128, device="cpu", pause=pause)


def lines(file: Path) -> list[jobs.Progress]:
    return [jobs.Progress.model_validate_json(line) for line in file.read_text().splitlines()]


def test_each_line_of_the_record_says_where_the_training_is(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    progress = record(file, pause=0)
    progress.step(15, torch.tensor([0.5, 0.875]))
    (line,) = lines(file)
    assert (line.epoch, line.epochs, line.within) == (2, 2, 0.5)
    assert (line.loss, line.accuracy, line.learning_rate) == (0.5, 0.875, 0.01)
    assert (line.seconds, line.device, line.validation_loss) == (83, "cpu", None)
    assert line.images_per_second > 0
    assert line.seconds_left is not None


def test_the_line_of_an_ended_epoch_has_its_validation(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    record(file, pause=60).epoch(epoch(1))
    (line,) = lines(file)
    assert (line.epoch, line.within) == (1, 1)
    assert (line.validation_loss, line.validation_accuracy) == (0.0313, 0.991)


def test_between_two_lines_of_the_record_there_is_a_pause(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    progress = record(file, pause=60)
    for step in range(1, 10):
        progress.step(step, torch.tensor([0.5, 0.875]))
    assert not file.exists()


def test_a_training_goes_on_without_a_record_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = record(tmp_path / "missing" / "progress.jsonl", pause=0)
    for number in (1, 2):
        progress.epoch(epoch(number))
    assert capsys.readouterr().err.count("the training goes on without it") == 1
