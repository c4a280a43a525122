"""Timing of the queue: one timer for the earliest deadline, and the throughput of batches.

A timer for each request would cost more than its place in the queue.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter


class DeadlineTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.time = inf  # when it expires, on perf_counter
        self._callback = callback
        self._timer: asyncio.TimerHandle | None = None

    def set(self, time: float) -> None:
        """Call back then, and at no other time."""
        self.cancel()
        self.time = time
        wait = max(0.0, time - perf_counter())
        self._timer = asyncio.get_running_loop().call_later(wait, self._expired)

    def cancel(self) -> None:
        self.time = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self.time, self._timer = inf, None
        self._callback()


class ThroughputEstimate:
    def __init__(self, *, waits: bool) -> None:
        """`waits`: whether a batch waits to fill up, which does not count as time that it took."""
        self._waits = waits
        self._finished = 0.0  # when the last batch was done, on perf_counter
        self.seconds = 0.0  # from one batch to the next while the queue is never empty, smoothed

    def reset(self) -> None:
        """Know nothing of the model."""
        self.seconds = 0.0

    def update(self, arrived: float, started_at: float, now: float) -> None:
        """A batch is done whose oldest image came at `arrived`, whose model call began then."""
        seconds = now - (started_at if self._waits else max(arrived, self._finished))
        self._finished = now
        self.seconds = 0.8 * self.seconds + 0.2 * seconds if self.seconds else seconds

    def until_empty(self, batches: float, *, busy: bool) -> float:
        """Seconds until that many have been dispatched, after the batch that is running."""
        return (batches + busy) * self.seconds
