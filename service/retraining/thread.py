"""Calls that block, and may hang: one at a time on a daemon thread, each within a time.

event loop --at most WAITING wait--> one call at a time --> result, TimeoutError or Problem
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from service.errors import Problem
from service.lifecycle import DaemonExecutor
from service.problem_types.retraining import TOO_MANY_REQUESTS_WAIT

TIMEOUT = 8.0  # seconds that a request waits for the result
WAITING = 32  # calls
T = TypeVar("T")


class BlockingCalls:
    """Used on the event loop alone."""

    def __init__(self, name: str) -> None:
        self._thread = DaemonExecutor(name)
        self._waiting = 0

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; TimeoutError after TIMEOUT. Problem if too many wait."""
        if self._waiting >= WAITING:
            raise Problem(
                TOO_MANY_REQUESTS_WAIT, f"{WAITING} requests wait already; try again in 1 s"
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asyncio.wrap_future(self._thread.submit(work))
        except TimeoutError as error:
            raise TimeoutError(str(error) or f"no answer within {TIMEOUT:g} s") from None
        finally:
            self._waiting -= 1

    def close(self, last: Callable[[], None] = lambda: None) -> None:
        """End the thread after the call that it is in, and after `last`."""
        self._thread.submit(last)
        self._thread.shutdown(wait=False)
