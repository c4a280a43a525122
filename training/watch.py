"""Who watches a training: the screen, the run folder, TensorBoard and the keyboard.

Ctrl-C and SIGTERM ask for an end after the step under way, so that the state is kept; a second one
ends it at once.
"""

import signal
import threading
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self

from torch import Tensor, nn

from training.board import Board
from training.loop import State
from training.progress import Epoch, Progress
from training.run import Run

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Listener:
    """Knows whether the training was asked to stop; in processes beside the first, that is all."""

    def __init__(self) -> None:
        self._asked = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread hears signals
        for number in SIGNALS:
            self._open.callback(signal.signal, number, signal.signal(number, self._ask))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def asks_to_stop(self) -> bool:
        return self._asked

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
