"""Observers of a training: the screen, the run folder, TensorBoard and signals.

Ctrl-C and SIGTERM request a stop after the current step, so that the state is saved; a second
signal ends the training at once.
"""

import signal
import threading
import time
from contextlib import ExitStack
from types import FrameType
from typing import Self

from torch import Tensor, nn

from training.board import Board
from training.loop import State
from training.progress import Epoch, Progress
from training.run import Run

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = 1.0  # seconds after which a signal is a second request, not an echo of the first


class Listener:
    """Handles the signals that request a stop; all that processes beside the first one need."""

    def __init__(self) -> None:
        self._requested = 0.0  # when, on the monotonic clock; 0: not yet
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread hears signals
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
    """Shows and keeps what happens."""

    def __init__(self, run: Run, progress: Progress, board: Board) -> None:
        super().__init__()
        self._run, self._progress, self._board = run, progress, board

    def __enter__(self) -> Self:
        super().__enter__()
        self._open.enter_context(self._progress)
        return self

    def step(self, done: int, means: Tensor) -> None:
        self._progress.step(done, means)

    def epoch(self, epoch: Epoch, network: nn.Module) -> None:
        self._progress.epoch(epoch)
        self._board.epoch(epoch, network)

    def save(self, state: State) -> None:
        self._run.save(state)
