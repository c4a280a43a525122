"""Connections whose requests were rejected are paused; all resume in order and not too early."""

import asyncio
from collections.abc import Callable
from time import perf_counter

import pytest

from service.http.scheduling import LEAST, RATE, TICK, RefusalThrottle

pytestmark = pytest.mark.anyio


class Connection:
    def __init__(self, resumed: list["Connection"]) -> None:
        self.paused_at = self.resumed_at = 0.0
        self._resumed = resumed

    def paused(self) -> Callable[[], None]:
        self.paused_at = perf_counter()
        return self._resume

    def _resume(self) -> None:
        self.resumed_at = perf_counter()
        self._resumed.append(self)


async def test_connections_resume_in_order_and_no_faster_than_the_rate() -> None:
    throttle, resumed = RefusalThrottle(), list[Connection]()
    connections = [Connection(resumed) for _ in range(100)]
    for connection in connections[:60]:
        throttle.add(connection.paused())
    await asyncio.sleep(LEAST / 2)
    for connection in connections[60:]:
        throttle.add(connection.paused())
    async with asyncio.timeout(10):
        while len(resumed) < len(connections):  # noqa: ASYNC110 (nothing reports it)
            await asyncio.sleep(TICK)
    assert resumed == connections
    assert min(each.resumed_at - each.paused_at for each in connections) >= LEAST - 0.001
    at_once = int(RATE * TICK)
    took = connections[-1].resumed_at - connections[0].resumed_at
    assert took >= (len(connections) / at_once - 1) * TICK * 0.8  # timers tick in milliseconds


async def test_after_all_have_resumed_pausing_starts_anew() -> None:
    throttle, resumed = RefusalThrottle(), list[Connection]()
    for _ in range(2):
        throttle.add(Connection(resumed).paused())
        await asyncio.sleep(2 * LEAST + TICK)
    assert len(resumed) == 2
