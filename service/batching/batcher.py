"""Turn concurrent requests for a few images each into few model calls of many.

    submit() --> queue --> what waits, up to max_batch --> one model call --> call each caller

The queue leaves as soon as the model is free, so a lone image never waits for company and a busy
model fills its next batch by itself. `max_wait` lets the oldest image wait a little for a fuller
batch. So does `more_to_come`: while other images are decoded on all cores, the model would only
slow that down, and four images take less time in one call than in four.

What callers may rely on:
* each gets one result: the answers to its own images, or an exception; never before submit
  returned, never after it was cancelled;
* the queue is bounded: QueueFull at once rather than an answer too late;
* a deadline that the queue cannot meet is refused at once: DeadlineUnreachable, or DeadlinePassed
  if no queue could meet it any more;
* a deadline passes: DeadlinePassed, whether the images waited or ran;
* images of a caller that was cancelled or too late before their batch left are never computed;
* images of one batch have one shape: those of another wait for the next batch;
* a batch that fails is split until only the caller whose images fail alone has failed, unless the
  model raises a Problem, which is the answer to all of them; AnsweredNaN is split too.

A model is any callable. It runs on a thread of the batcher's own, or on the event loop where
`on_loop` permits it for so many: handing 64 to a thread and their answers back costs a tenth
of the throughput of one core, and 60 us of a lone image's 230.

Knows nothing of HTTP, ONNX or metrics; everything but the model is called on the event loop. Times
are seconds; deadlines are on time.perf_counter, for uvloop's own clock ticks in milliseconds.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import perf_counter
from types import TracebackType
from typing import Generic, Self

from service.batching.dispatch import deliver, fail, run_with_bisection
from service.batching.interface import (
    Answers,
    Batch,
    BatchResult,
    Caller,
    Closed,
    DeadlinePassed,
    DeadlineUnreachable,
    Model,
    ModelFailed,
    Outcome,
    Place,
    QueuedRequest,
    QueueFull,
)
from service.batching.timing import DeadlineTimer, ThroughputEstimate
from service.errors import Problem
from service.tensors import Pixels

ENOUGH = 4  # images: in larger batches an image hardly costs less
LONGEST = 0.02  # seconds that an image waits for those that are being decoded

log = logging.getLogger("service")


class Batcher(Generic[Answers]):
    """An async context manager: leaving it answers all accepted callers, then stops."""

    def __init__(
        self,
        model: Model[Answers],
        *,
        max_batch: int,
        max_wait: float,
        max_queue: int,
        on_loop: Callable[[int], bool] = lambda _: False,
        more_to_come: Callable[[], bool] = lambda: False,
        delivered: Callable[[BatchResult[Answers], int, float], None] = lambda *_: None,
    ) -> None:
        """`more_to_come`: whether other work that ends in `submit` keeps all cores busy.

        `delivered` is called after each batch: how many callers were answered, and the seconds
        that they had waited in all.
        """
        self._model = model
        self._throughput = ThroughputEstimate(waits=max_wait > 0)
        self.set_limits(max_batch, max_queue)
        self._max_wait = max_wait
        self._on_loop = on_loop
        self._more_to_come = more_to_come
        self._delivered = delivered
        # An ordered set: callers that hang up leave it in any order, a thousand at once.
        self._queue: OrderedDict[QueuedRequest[Answers], None] = OrderedDict()
        self.depth = 0  # images in the queue; those in the model are not
        self._news = False  # whether anything came since the last look at the queue
        self._running: Batch[Answers] = []
        self._departure: asyncio.Handle | None = None  # of the next batch
        self._is_held = False  # until more images come
        self._timer = DeadlineTimer(self._expire)  # at the earliest deadline
        self._left = 0.0  # when the batch did that runs, or the last one
        self._closed = True

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._thread.submit(perf_counter)  # it starts now: later there may be no memory for it
        self._empty = asyncio.Event()
        self._closed = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._leave_now()
        await self._empty.wait()
        self._timer.cancel()
        self._thread.shutdown()

    @property
    def alive(self) -> bool:
        """Whether images handed in now would be worked on."""
        return not self._closed

    def set_limits(self, max_batch: int, max_queue: int) -> None:
        """How many images leave together, and how many may wait, from now on.

        What another model needed for a batch does not count for this one.
        """
        self.max_batch = max_batch
        self.max_queue = max_queue
        self._throughput.reset()

    def submit(
        self,
        caller: Caller[Answers],
        pixels: Pixels,
        *,
        deadline: float,
        admitted: bool = False,
    ) -> QueuedRequest[Answers]:
        """Call `caller` with the answers to `pixels` (n, *shape), all from one call of the model.

        More than `max_batch` images leave alone. Raises QueueFull, DeadlineUnreachable,
        DeadlinePassed or Closed; then `caller` is never called. `admitted`: they were in the queue
        before, as a part of a request that failed, and are not refused.
        """
        now = perf_counter()
        if not admitted:
            self.admit(len(pixels), now, deadline)
        waiting = QueuedRequest(caller, pixels, now, deadline)
        self._queue[waiting] = None
        self._news = True
        self.depth += len(pixels)
        if deadline < self._timer.time:
            self._timer.set(deadline)
        if not self._running:
            if self._departure is None:
                self._departure = self._loop.call_soon(self._depart)
            elif self._is_held or (self._max_wait and self.depth >= self.max_batch):
                self._leave_now()
        return waiting

    def admit(self, images: int, now: float, deadline: float) -> None:
        """Raise what `submit` would raise now, which is cheaper than to do work for nothing."""
        if self._closed:
            raise Closed
        if self.depth + images > self.max_queue:
            raise QueueFull(f"{self.depth} images are already waiting", self._until_empty())
        # Only behind a whole batch, whose end renews what is known of the pace: an estimate that
        # has become far too long could otherwise refuse everybody for ever.
        if self.depth >= self.max_batch:
            if deadline <= now:
                raise DeadlinePassed("the deadline passed before the queue")
            expected = self._until_empty() + self._throughput.seconds
            if now + expected > deadline:
                raise DeadlineUnreachable(
                    f"{self.depth} images are waiting, which takes about {expected:.2g} s, and "
                    f"the deadline is in {deadline - now:.2g} s",
                    now + expected - deadline,
                )

    def room(self) -> int:
        """How many more images `admit` accepts now, whatever their deadline; 0: it may refuse."""
        if self._closed or self.depth >= self.max_batch:
            return 0
        return self.max_queue - self.depth

    def leave_if_full(self) -> None:
        """Run the model now if images for a full batch wait and it runs on the event loop: they are
        still in the processor's caches.
        """
        while self.depth >= self.max_batch and not self._running and self._on_loop(self.max_batch):
            if self._departure is not None:
                self._departure.cancel()
            self._depart()

    def cancel(self, waiting: QueuedRequest[Answers]) -> Place | None:
        """Do not call its caller. Returns where its images were; None if it was called already."""
        if waiting.caller is None:
            return None
        waiting.caller = None
        return self._give_up(waiting)

    def shrink(self, waiting: QueuedRequest[Answers], pixels: Pixels) -> Place | None:
        """`cancel` a part of a request: if it still waits, these images alone are left of it."""
        if not len(pixels):
            return self.cancel(waiting)
        if waiting in self._queue:
            self.depth -= len(waiting.pixels) - len(pixels)
            waiting.pixels = pixels
            return "queue"
        return None if waiting.caller is None else "model"

    def _until_empty(self) -> float:
        """Seconds until all that waits has left."""
        batches = self.depth / self.max_batch
        return self._throughput.until_empty(batches, busy=bool(self._running))

    def _give_up(self, waiting: QueuedRequest[Answers]) -> Place:
        """Take images out of the queue if they are still there."""
        if self._queue.pop(waiting, waiting) is not None:
            return "model"
        self.depth -= len(waiting.pixels)
        return "queue"

    # ---- batches ------------------------------------------------------------------------------

    def _leave_now(self) -> None:
        if self._departure is not None:
            self._departure.cancel()
        self._departure = self._loop.call_soon(self._depart)

    def _depart(self) -> None:
        """Send the next batch to the model, unless it is busy or worth a wait."""
        self._departure = None
        if self._running:
            return
        now = perf_counter()
        if self._queue and (wait := next(iter(self._queue)).arrived + self._wait() - now) > 0:
            self._departure = self._loop.call_later(wait, self._depart)
            return
        if self._news and self.depth < self.max_batch and self._on_loop(self.depth):
            # It is this thread that reads and computes, so the model loses nothing while it reads
            # on until a turn of the event loop brings nothing more: batches twice as large.
            self._news = False
            self._departure = self._loop.call_soon(self._depart)
            return
        batch, images = self._take(now)
        self._left = now
        if not batch:
            if self._closed:
                self._loop.call_soon(self._end_if_empty)
        elif self._on_loop(images):
            self._deliver(run_with_bisection(self._model, batch), now)
        else:
            self._running = batch
            self._thread.submit(self._run_aside, batch)

    def _end_if_empty(self) -> None:
        """After what is being delivered: a caller may submit anew what failed with others."""
        if not (self._queue or self._running):
            self._empty.set()

    def _wait(self) -> float:
        """Seconds that the oldest image waits for more; none while closing."""
        if self._closed or self.depth >= self.max_batch:
            return 0
        few = self.depth < ENOUGH and not self._on_loop(self.depth)
        self._is_held = few and self._more_to_come()
        return max(self._max_wait, LONGEST) if self._is_held else self._max_wait

    def _take(self, now: float) -> tuple[Batch[Answers], int]:
        """The next batch and its images, without those whose deadline has passed."""
        batch: Batch[Answers] = []
        images = 0
        while self._queue:
            waiting, _ = self._queue.popitem(last=False)
            count = len(waiting.pixels)
            if batch and (
                images + count > self.max_batch
                or waiting.pixels.shape[1:] != batch[0].pixels.shape[1:]
            ):
                self._queue[waiting] = None
                self._queue.move_to_end(waiting, last=False)
                break
            self.depth -= count
            if waiting.deadline <= now:
                fail(waiting, DeadlinePassed("the deadline passed in the queue"))
            else:
                batch.append(waiting)
                images += count
        return batch, images

    def _run_aside(self, batch: Batch[Answers]) -> None:
        """On the model's thread."""
        outcomes = run_with_bisection(self._model, batch)
        self._loop.call_soon_threadsafe(self._came_back, outcomes)

    def _came_back(self, outcomes: list[Outcome[Answers]]) -> None:
        self._running, left = [], self._left
        self._depart()  # first, so that the model does not idle while answers are written
        self._deliver(outcomes, left)

    def _deliver(self, outcomes: list[Outcome[Answers]], left: float) -> None:
        now = perf_counter()
        # Not of a Problem, for which the model computes nothing.
        if not isinstance(outcomes[0][1], Problem):
            self._throughput.update(outcomes[0][0][0].arrived, left, now)
        for batch, run in outcomes:
            if isinstance(run, ModelFailed | Problem):
                for waiting in batch:
                    fail(waiting, run)
            else:
                answered, waited = deliver(batch, run, now)
                try:
                    self._delivered(run, answered, waited)
                except Exception:  # a number less
                    log.exception("a batch could not be counted")
        if (self._queue or self._closed) and self._departure is None and not self._running:
            self._departure = self._loop.call_soon(self._depart)

    def _expire(self) -> None:
        """Fail those whose deadline has passed, and wait for the next."""
        now = perf_counter()
        earliest = inf
        for waiting in [*self._queue, *self._running]:
            if waiting.deadline > now:
                earliest = min(earliest, waiting.deadline)
            elif waiting.caller is not None:
                place = self._give_up(waiting)
                fail(waiting, DeadlinePassed(f"the deadline passed in the {place}"))
        if earliest < inf:
            self._timer.set(earliest)
