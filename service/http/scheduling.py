"""Which connections are read next, and which are closed to make room.

    a request waits behind another --> Turns --AT_ONCE in a turn of the event loop--> it begins
    a request was refused          --> RefusalThrottle --at least LEAST--> the next one is read
    too many connections           --> IdleConnections closes those that have been idle longest

Each is one object for all connections of a worker.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from heapq import nsmallest
from math import ceil
from time import perf_counter
from typing import Any

AT_ONCE = 8  # requests that begin in one turn of the event loop

LEAST = 0.02  # seconds that a connection is paused
TICK = 0.005  # seconds between checks which connections may be read again
RATE = 1000  # connections a second that are read again: less than a tenth of one core's time
LONGEST = 1.0  # seconds that a connection is paused, whatever the rate

CLOSED_AT_ONCE = 64  # connections: to find the longest idle, all are compared
INTERVAL = 0.1  # seconds between two such searches: half a millisecond for 4,096 connections
IDLE = 5.0  # seconds after which a connection may be closed


class Turns:
    """Turns of the connections whose clients send requests faster than they are answered.

    Requests that arrive alone begin at once. If all that wait began together, they would precede
    whatever arrives in each turn of the event loop: with 300 such connections a new one waited for
    seconds.
    """

    def __init__(self) -> None:
        self._queue: deque[Callable[[], None]] = deque()
        self._is_due = False

    def add(self, begin: Callable[[], None]) -> None:
        """Call `begin` when it is its turn, in a later turn of the event loop."""
        self._queue.append(begin)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        try:
            for _ in range(min(AT_ONCE, len(self._queue))):
                self._queue.popleft()()
        finally:  # whatever one of them raises, the others get their turn
            self._is_due = bool(self._queue)
            if self._is_due:
                asyncio.get_running_loop().call_soon(self._run)


class RefusalThrottle:
    """Pauses connections whose request was refused because the service is overloaded.

    A refusal costs nearly as much as an answer, but for the model. Clients that retry immediately
    would get ever more refusals and take the time of the others: with 640 of them, where 64 may
    wait, goodput fell to a fifth. So each is paused before its next request is read. The pause
    grows with their number, but stays below what Retry-After says at least, so a client that waits
    that long is not affected.
    """

    def __init__(self) -> None:
        # Since when, on perf_counter, and what ends it.
        self._paused: deque[tuple[float, Callable[[], None]]] = deque()

    def add(self, resume: Callable[[], None]) -> None:
        """Call `resume`, of a connection that was paused just now, when it may be read again."""
        if not self._paused:
            asyncio.get_running_loop().call_later(LEAST, self._resume)
        self._paused.append((perf_counter(), resume))

    def _resume(self) -> None:
        due = perf_counter() - LEAST
        for _ in range(ceil(TICK * max(RATE, len(self._paused) / LONGEST))):
            if not self._paused or self._paused[0][0] > due:
                break
            self._paused.popleft()[1]()
        if self._paused:
            asyncio.get_running_loop().call_later(TICK, self._resume)


class IdleConnections:
    """Closes idle connections where a new one is beyond DIGITSERVE_MAX_CONNECTIONS.

    A connection may be idle for DIGITSERVE_KEEP_ALIVE seconds and counts meanwhile.
    """

    def __init__(self) -> None:
        self._searched = 0.0  # on perf_counter

    def close_some(self, connections: Iterable[Any]) -> int:
        """Close those of these connections that have been idle longest; returns how many."""
        now = perf_counter()
        if now < self._searched + INTERVAL:
            return 0
        self._searched = now
        longest = nsmallest(CLOSED_AT_ONCE, connections, key=lambda each: each.idle_since())
        idle = [each for each in longest if each.idle_since() < now - IDLE]
        for each in idle:
            each.close_for_certain()
        return len(idle)
