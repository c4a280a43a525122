"""Connections whose request was refused for want of room are not read for a moment.

A refusal costs a third of an answer. Clients that ask again at once, as a load generator does and
a retry loop without a pause, would get ever more refusals and leave the others no answers: 640 of
them, of whom 64 could wait, let through a fifth of what the service can do. So each rests before
its next request is read, the longer the more there are; who waits as
Retry-After says never notices.
"""

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

LEAST = 0.02  # seconds of rest
TICK = 0.005  # seconds between looks at who has rested
RATE = 3000  # connections a second that are read again: a tenth of one core's time


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
        for _ in range(int(RATE * TICK)):
            if not self._resting or self._resting[0][0] > rested:
                break
            self._resting.popleft()[1].wake()
        if self._resting:
            asyncio.get_running_loop().call_later(TICK, self._wake)
