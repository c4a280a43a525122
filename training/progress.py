"""Progress of a training: on the screen, and line by line in progress.jsonl for other programs."""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from contract import jobs

LINES = 20  # at most, if the output is not a terminal
HEAD = "  epoch    loss  accuracy   validation loss  accuracy   learning rate    time"


class Epoch(NamedTuple):
    """One line of metrics.jsonl."""

    epoch: int  # from 1
    loss: float  # mean cross-entropy of the training batches, which are augmented
    accuracy: float  # on the augmented training images
    validation_loss: float | None  # mean cross-entropy; None: no validation part
    validation_accuracy: float | None
    learning_rate: float  # after the last step
    seconds: float  # since the training began, without interruptions
    calibrated_loss: float | None = None  # `validation_loss` after the fitted temperature

    def __str__(self) -> str:
        """A row under HEAD."""
        judged = " " * 25
        if self.validation_loss is not None and self.validation_accuracy is not None:
            judged = f"{self.validation_loss:15.4f}  {self.validation_accuracy:8.2%}"
        return (
            f"  {self.epoch:5}  {self.loss:6.4f}  {self.accuracy:8.2%}   {judged}   "
            f"{self.learning_rate:13.2e}  {self.seconds:4.0f} s"
        )


OnEpoch = Callable[[Epoch], object]  # called after each epoch; what it returns is ignored


class Progress:
    """Shows a training of `epochs` epochs of `steps` steps each; a context manager."""

    def __init__(
        self,
        steps: int,
        epochs: int,
        batch_size: int,
        *,
        console: Console | None = None,
        pause: float = 0.1,  # seconds between two updates of the bar
    ) -> None:
        self._console = console or Console(file=sys.stderr)
        self._every = -(-epochs // LINES) if not self._console.is_terminal else 1
        self._epochs = epochs
        self._batch_size, self._pause = batch_size, pause
        self._shown = self._began = time.monotonic()
        self._first_step: int | None = None
        self._hidden: Epoch | None = None  # the last epoch that was not shown
        self._bar = Bar(
            TextColumn("  epoch {task.fields[epoch]}"),
            BarColumn(bar_width=12),  # the whole line fits into 80 columns
            TextColumn(
                "loss {task.fields[loss]:.3f}  {task.fields[right]:.1%}  "
                "{task.fields[speed]:,.0f}/s "
            ),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._steps = steps
        self._task = self._bar.add_task(
            "", total=steps * epochs, epoch=f"1/{epochs}", loss=0.0, right=0.0, speed=0.0
        )

    def __enter__(self) -> Self:
        self._console.print(HEAD, highlight=False)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._hidden is not None:  # the last epoch of a training that ended early
            self._console.print(str(self._hidden), highlight=False)

    def step(self, done: int, means: Tensor) -> None:
        """`done` counts the steps of all epochs; `means` (2,) are the epoch's loss and accuracy."""
        now = time.monotonic()
        if self._first_step is None:
            self._first_step = done - 1
        if now - self._shown > self._pause and not self._bar.disable:
            self._shown = now
            taken = (done - self._first_step) * self._batch_size
            loss, right = means.tolist()
            self._bar.update(
                self._task,
                completed=done,
                loss=loss,
                right=right,
                speed=taken / (now - self._began),
                epoch=f"{(done - 1) // self._steps + 1}/{self._epochs}",
            )

    def epoch(self, epoch: Epoch) -> None:
        if epoch.epoch % self._every == 0 or epoch.epoch in (1, self._epochs):
            self._console.print(str(epoch), highlight=False)
            self._hidden = None
        else:
            self._hidden = epoch


class Measured(Protocol):
    """What `Record` reads of a training."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def seconds(self) -> float: ...  # since it began, without interruptions
    @property
    def cpu_seconds(self) -> float: ...


class Record:
    """Appends the progress to a file: a line, the JSON of a contract.jobs.Progress, each `pause`.

    A resumed training continues the file. If it cannot be written, a line on the screen says so,
    and the training goes on without it.
    """

    def __init__(
        self,
        file: Path,
        training: Measured,
        *,
        steps: int,
        epochs: int,
        batch_size: int,
        device: str,
        teacher: int | None = None,
        pause: float = 1.0,  # seconds between two lines
    ) -> None:
        self._file: Path | None = file
        self._training, self._pause = training, pause
        self._steps, self._epochs, self._batch_size = steps, epochs, batch_size
        self._device, self._teacher = device, teacher
        self._began = self._written = time.monotonic()
        self._first = self._done = -1  # steps of all epochs: before this process, at the last line
        self._cpu = training.cpu_seconds

    def step(self, done: int, means: Tensor) -> None:
        """`done` counts the steps of all epochs; `means` (2,) are the epoch's loss and accuracy."""
        if self._first < 0:
            self._first = self._done = done - 1
        if time.monotonic() - self._written >= self._pause:
            loss, accuracy = means.tolist()
            epoch, within = divmod(done - 1, self._steps)
            self._write(done, epoch + 1, (within + 1) / self._steps, loss, accuracy, None)

    def epoch(self, epoch: Epoch) -> None:
        done = epoch.epoch * self._steps
        self._write(done, epoch.epoch, 1.0, epoch.loss, epoch.accuracy, epoch)

    def _write(
        self, done: int, epoch: int, within: float, loss: float, accuracy: float, end: Epoch | None
    ) -> None:
        if self._file is None or not math.isfinite(loss):
            return
        now, cpu = time.monotonic(), self._training.cpu_seconds
        since = max(now - self._written, 1e-3)
        speed = (done - self._first) / max(now - self._began, 1e-3)  # steps a second
        line = jobs.Progress(
            epoch=epoch,
            epochs=self._epochs,
            within=within,
            loss=loss,
            accuracy=accuracy,
            validation_loss=end and end.validation_loss,
            validation_accuracy=end and end.validation_accuracy,
            learning_rate=self._training.learning_rate,
            images_per_second=(done - self._done) * self._batch_size / since,
            seconds=self._training.seconds,
            seconds_left=(self._steps * self._epochs - done) / speed if speed else None,
            device=self._device,
            cpu=(cpu - self._cpu) / since,
            teacher=self._teacher,
        )
        self._written, self._done, self._cpu = now, done, cpu
        try:
            with self._file.open("a") as file:
                file.write(line.model_dump_json() + "\n")
        except OSError as error:
            print(
                f"{self._file} cannot be written ({error.strerror or error}): the training goes on "
                "without it",
                file=sys.stderr,
            )
            self._file = None
