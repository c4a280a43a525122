"""Progress is a table of epochs; a terminal also gets a bar with loss, speed and time left."""

import io
import re

import pytest
import torch
from rich.console import Console

from training.progress import HEAD, Epoch, Progress


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
