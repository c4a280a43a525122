"""What a person sees while a network trains: a live bar in a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

LINES = 20  # at most, where there is no terminal


class Epoch(NamedTuple):
    """One line of metrics.jsonl."""

    epoch: int  # from 1
    loss: float  # mean of the training batches, smoothed labels, augmented pictures
    validation_loss: float
    validation_accuracy: float  # fraction
    learning_rate: float  # after the last step
    seconds: float  # since the training began

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3}   loss {self.loss:.4f}   validation loss "
            f"{self.validation_loss:.4f}, accuracy {self.validation_accuracy:7.2%}   "
            f"{self.seconds:5.0f} s"
        )


class Progress:
    """Shows a training of `steps` steps in `epochs` epochs; a context manager."""

    def __init__(self, *, steps: int, epochs: int, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._every = -(-epochs // LINES)  # epochs between two lines, rounded up
        self._epochs = epochs
        self._shown = 0.0
        self._bar = Bar(
            TextColumn("training"),
            BarColumn(bar_width=16),  # the whole line fits into 80 columns
            MofNCompleteColumn(),
            TextColumn("steps  loss {task.fields[loss]:.3f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=steps, loss=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, done: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._shown > 0.1:  # seconds; the bar is for eyes, not for every step
            self._shown = now
            self._bar.update(self._task, completed=done, loss=loss)

    def epoch(self, epoch: Epoch, *, steps_done: int) -> None:
        self._bar.update(self._task, completed=steps_done)
        if epoch.epoch % self._every == 0 or epoch.epoch in (1, self._epochs):
            self._console.print(f"  {epoch}", highlight=False)
