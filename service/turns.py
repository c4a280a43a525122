"""Turns of the connections whose clients send requests faster than they are answered.

    a request waits behind another --> queue --AT_ONCE in a turn of the loop--> it begins

Requests that arrive alone begin at once. If those that wait began together, as many as there are
such connections would stand before whatever arrives, in each turn of the event loop: with 300 of
them a new connection waited for seconds.
"""

import asyncio
from collections import deque
from collections.abc import Callable

AT_ONCE = 8


class Turns:
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
