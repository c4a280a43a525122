"""Observers of a training: the screen, the run folder, TensorBoard and signals.

Ctrl-C and SIGTERM request a stop after the current step, so that the state is saved; a second
signal ends the training at once. `tensorboard --logdir runs` shows

    scalars     loss, accuracy and learning rate by epoch, for training and validation
    histograms  the weights of every layer by epoch
    images      augmented training images, and the worst errors at the end
    graph       the network
"""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from training.evaluate import Judged, as_input
from training.loop import State
from training.progress import Epoch, OnEpoch, Progress, Record
from training.run import Run

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = 1.0  # seconds after which another signal is a second request, not a repetition of the first
IMAGES = 64  # that TensorBoard shows


class Listener:
    """Handles the signals that request a stop, which is all that further processes need."""

    def __init__(self) -> None:
        self._requested = 0.0  # time on the monotonic clock; 0: no stop was requested
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread receives signals
        for number in SIGNALS:
            self._open.callback(signal.signal, number, signal.signal(number, self._request))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _request(self, number: int, _: FrameType | None) -> None:
        # Under torchrun, one Ctrl-C arrives twice: from the terminal and from torchrun.
        if self._requested and time.monotonic() - self._requested > AGAIN:
            raise KeyboardInterrupt
        self._requested = self._requested or time.monotonic()

    def stop_requested(self) -> bool:
        return self._requested > 0

    def step(self, done: int, means: Tensor) -> None: ...
    def epoch(self, epoch: Epoch, network: nn.Module) -> None: ...
    def save(self, state: State) -> None: ...


class Watch(Listener):
    """Shows and records the progress and saves the state."""

    def __init__(
        self,
        run: Run,
        progress: Progress,
        record: Record,
        board: "Board",
        on_epoch: OnEpoch | None = None,
    ) -> None:
        super().__init__()
        self._run, self._progress, self._record, self._board = run, progress, record, board
        self._on_epoch = on_epoch

    def __enter__(self) -> Self:
        super().__enter__()
        self._open.enter_context(self._progress)
        return self

    def step(self, done: int, means: Tensor) -> None:
        self._progress.step(done, means)
        self._record.step(done, means)

    def epoch(self, epoch: Epoch, network: nn.Module) -> None:
        self._progress.epoch(epoch)
        self._record.epoch(epoch)
        self._board.epoch(epoch, network)
        if self._on_epoch:
            self._on_epoch(epoch)

    def save(self, state: State) -> None:
        self._run.save(state)


class Board:
    """Writes TensorBoard's event files into `folder`; a context manager.

    If the disk is full, a line says so, and the training goes on without these files.
    """

    def __init__(self, folder: Path, epochs_before: int = 0, *, inverted: bool = False) -> None:
        """After a stop, events that were written after `epochs_before` epochs are discarded.

        With `inverted`, images are shown dark on light: the preparation of digits makes ink white.
        """
        self._inverted = inverted
        again = epochs_before + 1 if epochs_before else None
        self._writer: SummaryWriter | None = None
        self._open = ExitStack()
        with self._giving_up_on_errors():
            self._writer = SummaryWriter(str(folder), purge_step=again)

    def __enter__(self) -> Self:
        # An error of the writer's own thread is raised by the next call too, so its traceback is
        # not printed.
        self._open.callback(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = _print_all_but_os_errors
        return self

    def __exit__(self, *_: object) -> None:
        with self._open, self._giving_up_on_errors():
            if self._writer:
                self._writer.close()

    @contextmanager
    def _giving_up_on_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            print(
                f"TensorBoard's files cannot be written ({error.strerror or error}): the training "
                "goes on without them",
                file=sys.stderr,
            )

    def begin(self, network: nn.Module, augmented: Tensor) -> None:
        """Write the network's graph, and images (n, c, h, w), 0..1, as it is trained on."""
        with self._giving_up_on_errors(), warnings.catch_warnings():
            # TensorBoard traces the graph, which PyTorch deprecates.
            warnings.simplefilter("ignore")
            self._add_images("learned from", augmented)
            if self._writer:
                _add_graph(self._writer, network, augmented[:1])

    def epoch(self, epoch: Epoch, network: nn.Module) -> None:
        if not self._writer:
            return
        values = {
            "loss/training": epoch.loss,
            "loss/validation": epoch.validation_loss,
            "accuracy/training": epoch.accuracy,
            "accuracy/validation": epoch.validation_accuracy,
            "learning rate": epoch.learning_rate,
        }
        with self._giving_up_on_errors():
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(name, value, epoch.epoch)
            for name, weights in network.named_parameters():
                self._writer.add_histogram(name, weights, epoch.epoch)

    def end(self, judged: Judged, pixels: Tensor) -> None:
        """Write the most confident errors among pixels (n, h, w) or (n, h, w, 3)."""
        wrong = torch.from_numpy(judged.errors())
        if len(wrong):
            with self._giving_up_on_errors():
                self._add_images("misclassified", as_input(pixels[wrong[:IMAGES]]))

    def _add_images(self, name: str, images: Tensor) -> None:
        images = images[:IMAGES].cpu().clamp(0, 1)
        images = 1 - images if self._inverted else images
        if self._writer:
            self._writer.add_images(name, images)


def _add_graph(writer: SummaryWriter, network: nn.Module, images: Tensor) -> None:
    """Write the graph, or say why a user's own network has none."""
    try:
        with redirect_stdout(StringIO()):  # TensorBoard prints that there is no graph
            writer.add_graph(network, images)
    except OSError:
        raise
    except Exception as error:  # whatever tracing raises, and the user's layers when traced
        reason = (str(error).strip().splitlines() or [""])[0]
        print(
            f"TensorBoard does not show the network's graph: it cannot be traced "
            f"({type(error).__name__}: {reason})",
            file=sys.stderr,
        )


def _print_all_but_os_errors(arguments: threading.ExceptHookArgs) -> None:
    if not issubclass(arguments.exc_type, OSError):
        threading.__excepthook__(arguments)
