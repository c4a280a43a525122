"""One timer for the earliest of many deadlines: a timer a request would cost more than its place in
the queue."""

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
