"""Who watches a training: the screen, the run folder, TensorBoard and the keyboard.

Ctrl-C and SIGTERM ask for an end after the step under way, so that the state is kept; a second one
ends it at once.
"""

import signal
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self

from torch import Tensor, nn

from training.loop import State
from training.progress import Epoch, Progress
from training.recipe import Recipe
from training.run import Run

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Watch:
    """Shows and keeps what happens in a training; with no run, only listens to signals."""

    def __init__(self, run: Run | None, recipe: Recipe, steps: int) -> None:
        self._run = run
        self._asked = False
        self._progress = None
        if run:
            self._progress = Progress(
                steps=steps, epochs=recipe.epochs, batch_size=recipe.batch_size
            )
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for number in SIGNALS:
            before = signal.signal(number, self._ask)
            self._open.callback(signal.signal, number, before)
        if self._progress:
            self._open.enter_context(self._progress)
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

    def step(self, done: int, means: Tensor) -> None:
        if self._progress:
            self._progress.step(done, means)

    def epoch(self, epoch: Epoch, network: nn.Module, improved: bool) -> None:
        if self._progress:
            self._progress.epoch(epoch)

    def save(self, state: State) -> None:
        if self._run:
            self._run.save(state)
