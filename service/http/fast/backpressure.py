"""Connections whose request was refused for want of room are not read for a moment.

A refusal costs most of what an answer costs but the model. Clients that ask again at once, as a
load generator does and a retry loop without a pause, would get ever more refusals and leave the
others no answers: 640 of them, of whom 64 could wait, let through a fifth of what the service can
do. So each rests before its next request is read, the longer the more there are, but never as long
as Retry-After says at least: who waits as told never notices.
"""

import asyncio
from collections import deque
from math import ceil
from time import perf_counter
from typing import Protocol

LEAST = 0.02  # seconds of rest
TICK = 0.005  # seconds between looks at who has rested
RATE = 1000  # connections a second that are read again: less than a tenth of one core's time
LONGEST = 1.0  # seconds of rest, whatever the rate


class Resting(Protocol):
    def rest(self) -> None:
        """Stop reading."""

    def wake(self) -> None:
        """Read again, if it is still there."""


class Rest:
    def __init__(self) -> None:
        self._resting: deque[tuple[float, Resting]] = deque()  # since when, on perf_counter

    def add(self, connection: Resting) -> None:
        connection.rest()
        if not self._resting:
            asyncio.get_running_loop().call_later(LEAST, self._wake)
        self._resting.append((perf_counter(), connection))

    def _wake(self) -> None:
        rested = perf_counter() - LEAST
        for _ in range(ceil(TICK * max(RATE, len(self._resting) / LONGEST))):
            if not self._resting or self._resting[0][0] > rested:
                break
            self._resting.popleft()[1].wake()
        if self._resting:
            asyncio.get_running_loop().call_later(TICK, self._wake)
