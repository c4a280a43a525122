"""Turn concurrent requests for one picture each into few model calls of many.

    predict() --> queue --> what waits, up to max_batch --> one model call --> answer each caller

The queue leaves as soon as the model is free, so a lone picture never waits for company and a busy
model fills its next batch by itself. `max_wait` lets the oldest picture wait a little for a fuller
batch.

What callers may rely on:
* each gets the answer to its own picture, or an exception, and exactly one of them;
* the queue is bounded: QueueFull at once rather than an answer too late;
* a deadline counts from arrival: DeadlinePassed, whether the picture waited or ran;
* a picture whose caller was cancelled or too late before its batch left is never computed;
* a batch that fails is split until only the pictures that fail alone have failed.

Knows nothing of HTTP, ONNX or metrics: a model is any callable, run in a thread of the batcher's
own so that the event loop stays free. Times are seconds: deadlines on the event loop's clock,
durations on a finer one (uvloop's ticks in milliseconds).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (28, 28), 0 = paper, 255 = ink
Answer = TypeVar("Answer")
Model = Callable[[Pixels], Sequence[Answer]]  # (n, 28, 28) -> n answers


class QueueFull(Exception):
    """No room for another picture; `retry_after` seconds from now there should be some."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"{waiting} pictures are already waiting")
        self.retry_after = retry_after


class DeadlinePassed(Exception):
    """The caller's deadline came before the answer."""


class Closed(Exception):
    """The batcher takes no more pictures."""


class ModelFailed(Exception):
    """The model raised on this picture alone; `__cause__` is what it raised."""


class Answered(NamedTuple, Generic[Answer]):
    answer: Answer
    batch_size: int  # pictures that left together
    waited: float  # seconds in the queue
    ran: float  # seconds of the model call


class _Waiting(Generic[Answer]):
    __slots__ = ("answer", "arrived", "deadline", "leaves_by", "pixels")

    def __init__(
        self,
        pixels: Pixels,
        answer: asyncio.Future[Answered[Answer]],
        leaves_by: float,
        deadline: float,
    ) -> None:
        self.pixels = pixels
        self.answer = answer
        self.arrived = perf_counter()
        self.leaves_by = leaves_by  # on the loop's clock: no company is waited for after that
        self.deadline = deadline  # on the loop's clock


class Batcher(Generic[Answer]):
    """An async context manager: leaving it answers everyone who was accepted, then stops."""

    def __init__(
        self, model: Model[Answer], *, max_batch: int, max_wait: float, max_queue: int
    ) -> None:
        self._model = model
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._max_queue = max_queue
        # An ordered set: callers that hang up leave it in any order, a thousand at once.
        self._queue: OrderedDict[_Waiting[Answer], None] = OrderedDict()
        self._changed = asyncio.Event()  # something arrived, or closing began
        self._closed = True
        self._pace = 0.0  # seconds a picture, smoothed over the last batches

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker = asyncio.create_task(self._serve(), name="batcher")
        self._closed = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._changed.set()
        await self._worker
        self._thread.shutdown()

    @property
    def depth(self) -> int:
        """Pictures in the queue; those in the model are not."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether a picture handed in now would be worked on."""
        return not self._closed and not self._worker.done()

    async def predict(self, pixels: Pixels, *, deadline: float) -> Answered[Answer]:
        """The model's answer to one picture (28, 28), before `deadline` on the loop's clock.

        Raises QueueFull, DeadlinePassed, Closed, or ModelFailed.
        """
        if not self.alive:
            raise Closed("the batcher takes no more pictures")
        if len(self._queue) >= self._max_queue:
            raise QueueFull(len(self._queue), retry_after=len(self._queue) * self._pace)
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = _Waiting[Answer](pixels, loop.create_future(), now + self._max_wait, deadline)
        self._queue[waiting] = None
        self._changed.set()
        try:
            async with asyncio.timeout_at(deadline):
                return await waiting.answer
        except TimeoutError:  # a model's own would be a ModelFailed
            raise DeadlinePassed("the deadline passed before the model answered") from None
        finally:
            self._queue.pop(waiting, None)  # if its turn never came, its place is free now

    async def _serve(self) -> None:
        batch: list[_Waiting[Answer]] = []
        try:
            while await self._work_waits():
                batch = self._take()
                if batch:
                    await self._answer(batch)
        finally:  # only after a mistake of our own does anybody still wait here
            for waiting in (*batch, *self._queue):
                if not waiting.answer.done():
                    waiting.answer.set_exception(Closed("the batcher has stopped"))

    def _take(self) -> list[_Waiting[Answer]]:
        """The next batch, without those who hung up or are too late by now."""
        now = asyncio.get_running_loop().time()
        batch: list[_Waiting[Answer]] = []
        while self._queue and len(batch) < self._max_batch:
            waiting, _ = self._queue.popitem(last=False)
            if waiting.answer.done():
                continue
            if waiting.deadline <= now:
                waiting.answer.set_exception(DeadlinePassed("the deadline passed in the queue"))
            else:
                batch.append(waiting)
        return batch

    async def _work_waits(self) -> bool:
        """True once a batch should leave, False once closed with nobody waiting."""
        while True:
            while not self._queue:
                if self._closed:
                    return False
                await self._change()
            if not self._lacks_company():
                return True
            try:
                async with asyncio.timeout_at(next(iter(self._queue)).leaves_by):
                    while self._lacks_company():
                        await self._change()
            except TimeoutError:
                pass
            if self._queue:  # everybody may have hung up meanwhile
                return True

    def _lacks_company(self) -> bool:
        """Whether the queue may wait for more: only with max_wait, and never while closing."""
        return self._max_wait > 0 and not self._closed and 0 < len(self._queue) < self._max_batch

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _answer(self, batch: list[_Waiting[Answer]]) -> None:
        left = perf_counter()
        pictures = [waiting.pixels for waiting in batch]
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self._thread, self._run, pictures)
        ran = perf_counter() - left
        self._pace = 0.8 * self._pace + 0.2 * ran / len(batch) if self._pace else ran / len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue  # hung up while the model ran
            if isinstance(answer, ModelFailed):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(Answered(answer, len(batch), left - waiting.arrived, ran))

    def _run(self, pictures: list[Pixels]) -> list[Answer | ModelFailed]:
        """An answer or a failure for each picture; on the model's thread."""
        try:
            answers = list(self._model(np.stack(pictures)))  # (n, 28, 28)
            if len(answers) != len(pictures):
                raise ValueError(
                    f"the model gave {len(answers)} answers to {len(pictures)} pictures"
                )
            return list(answers)
        except BaseException as error:  # whatever a model may raise, it must not end the loop
            if len(pictures) == 1:
                failure = ModelFailed("the model cannot answer this picture")
                failure.__cause__ = error
                return [failure]
            half = len(pictures) // 2
            return self._run(pictures[:half]) + self._run(pictures[half:])
