"""Connections that were refused rest: all of them wake, in turn, none too soon."""

import asyncio
from time import perf_counter

import pytest

from service.http.fast.backpressure import LEAST, RATE, TICK, Rest

pytestmark = pytest.mark.anyio


class Connection:
    def __init__(self, woken: list["Connection"]) -> None:
        self.rested_at = self.woke_at = 0.0
        self._woken = woken

    def rest(self) -> None:
        self.rested_at = perf_counter()

    def wake(self) -> None:
        self.woke_at = perf_counter()
        self._woken.append(self)


async def test_those_who_were_refused_are_read_again_in_turn_and_no_faster_than_that() -> None:
    rest, woken = Rest(), list[Connection]()
    connections = [Connection(woken) for _ in range(100)]
    for connection in connections[:60]:
        rest.add(connection)
    await asyncio.sleep(LEAST / 2)
    for connection in connections[60:]:
        rest.add(connection)
    async with asyncio.timeout(10):
        while len(woken) < len(connections):  # noqa: ASYNC110 (they tell nobody)
            await asyncio.sleep(TICK)
    assert woken == connections
    assert min(each.woke_at - each.rested_at for each in connections) >= LEAST - 0.001
    at_once = int(RATE * TICK)
    took = connections[-1].woke_at - connections[0].woke_at
    assert took >= (len(connections) / at_once - 1) * TICK * 0.8  # timers ring in milliseconds


async def test_after_everybody_woke_the_next_one_rests_as_the_first_did() -> None:
    rest, woken = Rest(), list[Connection]()
    for _ in range(2):
        rest.add(Connection(woken))
        await asyncio.sleep(2 * LEAST + TICK)
    assert len(woken) == 2
