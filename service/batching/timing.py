"""One timer for the earliest of many deadlines: a timer a request would cost more than its place in
the queue.

How fast batches follow one another, and so when what waits now will have left.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter


class Alarm:
    def __init__(self, ring: Callable[[], None]) -> None:
        self.time = inf  # when it rings, on perf_counter
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, time: float) -> None:
        """Ring then, and not at another time."""
        self.cancel()
        self.time = time
        wait = max(0.0, time - perf_counter())
        self._timer = asyncio.get_running_loop().call_later(wait, self._rings)

    def cancel(self) -> None:
        self.time = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self.time, self._timer = inf, None
        self._ring()


class Pace:
    def __init__(self, max_batch: int, *, waits: bool) -> None:
        """`waits`: whether batches wait for company, which is no part of their pace."""
        self._max_batch = max_batch
        self._waits = waits
        self._finished = 0.0  # when the last batch was done, on perf_counter
        self.seconds = 0.0  # from one batch to the next while the queue is never empty, smoothed

    def keep(self, arrived: float, left: float, now: float) -> None:
        """A batch is done: its first pictures came at `arrived`, and it `left` for the model."""
        seconds = now - (left if self._waits else max(arrived, self._finished))
        self._finished = now
        self.seconds = 0.8 * self.seconds + 0.2 * seconds if self.seconds else seconds

    def until_empty(self, pictures: int, *, busy: bool) -> float:
        """Seconds until as many will have left, behind the batch that keeps the model busy."""
        return (pictures / self._max_batch + busy) * self.seconds
