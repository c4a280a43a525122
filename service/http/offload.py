"""Work of a request that would hold up the event loop: a large picture, a long document.

    exchange --at most so many wait--> a few threads --> then(result), or fail

At its deadline, or when its client hangs up, what has not begun is not done any more.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, TypeVar

from service.batching.interface import DeadlinePassed, QueueFull
from service.http.exchange import Exchange
from service.telemetry.request_record import Stage

AT_ONCE = 2  # pictures of up to MAX_PIXELS each are decoded at a time: this bounds the memory
T = TypeVar("T")


class Offload:
    def __init__(
        self, most: int, *, at_once: int = AT_ONCE, stage: Stage = "decode", done: str = "read"
    ) -> None:
        """At most that many wait. `stage` is where work is that is cancelled, `done` what becomes
        of a request here, in words."""
        self._most = most
        self._at_once = at_once
        self._stage = stage
        self._done = done
        self._going_on = 0
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=stage)
        self._pace = 0.1  # seconds apiece, smoothed

    def do(self, exchange: Exchange, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Call `then` with what `work` gives; what either raises is the exchange's failure.

        QueueFull if too many wait already.
        """
        if self._going_on >= self._most:
            seconds = self._going_on * self._pace / self._at_once
            raise QueueFull(
                f"{self._going_on} requests are already waiting to be {self._done}", seconds
            )
        loop = asyncio.get_running_loop()
        self._going_on += 1
        held = [work]
        future = loop.run_in_executor(self._threads, self._timed, held)
        going_on = _OffloadedWork(future, held, self._stage)

        def too_late() -> None:
            exchange.fail(
                DeadlinePassed(f"the deadline passed before the request was {self._done}")
            )
            going_on.cancel()

        alarm = loop.call_later(exchange.deadline - perf_counter(), too_late)
        exchange.work = going_on

        def done(result: asyncio.Future[tuple[T, float]]) -> None:
            self._going_on -= 1
            alarm.cancel()
            if result.cancelled():
                return
            try:
                given, seconds = result.result()
                self._pace = 0.8 * self._pace + 0.2 * seconds
                if not exchange.over:
                    then(given)
            except Exception as error:  # of the request, or of a queue that is full
                exchange.fail(error)

        going_on.future.add_done_callback(done)

    def later(self, work: Callable[[], object]) -> None:
        """Do something there that nobody waits for."""
        self._threads.submit(work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _timed(held: list[Callable[[], T]]) -> tuple[T, float]:
        began = perf_counter()
        work = held.pop()  # or IndexError, of which nobody hears: it was cancelled
        return work(), perf_counter() - began


class _OffloadedWork:
    """The work of an exchange while it is aside."""

    def __init__(self, future: asyncio.Future[Any], held: list[Any], stage: Stage) -> None:
        self.future = future
        self._held = held
        self._stage = stage

    def cancel(self) -> Stage:
        self.future.cancel()
        # A thread forgets what was cancelled when its turn comes, and until then it holds a body.
        self._held.clear()
        return self._stage
