"""Calls that block, and may hang: one at a time on a daemon thread, each within a time.

event loop --at most WAITING wait--> one call at a time --> result, or TimeoutError
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from service.lifecycle import DaemonExecutor

TIMEOUT = 8.0  # seconds that a request waits for the result
WAITING = 32  # calls
T = TypeVar("T")


class BlockingCalls:
    """Used on the event loop alone."""

    def __init__(self, name: str) -> None:
        self._thread = DaemonExecutor(name)
        self._waiting = 0

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; TimeoutError after TIMEOUT, or if too many wait."""
        if self._waiting >= WAITING:
            raise TimeoutError(f"{WAITING} requests wait already")
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
