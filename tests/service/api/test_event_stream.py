"""Who watches is told what is newest, reckoned once for all, and only while somebody watches."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from contract.store import Store
from contract.version import Version
from service.api.live.stream import EVERY, EventStream, Live
from service.lifecycle import Life
from service.models.loading import load
from service.models.manager import ModelManager
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.workers.peers import Peers
from tests.support.program import PATIENCE

pytestmark = pytest.mark.anyio


class House:
    """All that is behind the route, and how often it has looked at the metrics."""

    def __init__(self, store: Store) -> None:
        settings = Settings(threads=1)  # type: ignore[call-arg]
        self.life, metrics = Life(), Metrics()
        serving = ModelManager(store, load(store, None, settings), settings, metrics)
        self.live = Live(serving, settings, metrics, self.life, Peers(serving, metrics))
        self.looks = 0
        metrics.before_scrape.append(self._look)

    def _look(self) -> None:
        self.looks += 1


class Client:
    """The connection of one, who reads when it is let."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = asyncio.Event()
        self.was_cut = False
        self.events: list[dict[str, Any]] = []

    def hold_little(self) -> None:
        """There is no socket."""

    def cut(self) -> None:
        self.was_cut = True
        self.gone.set()
        self.reads.set()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        _, _, data = message.get("body", b"").partition(b"data: ")
        if data:
            self.events.append(json.loads(data))

    async def has(self, count: int) -> None:
        await true(lambda: len(self.events) >= count)


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version]) -> Store:
    return published[0]


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@asynccontextmanager
async def watching(house: House, count: int = 1) -> AsyncIterator[list[Client]]:
    clients = [Client() for _ in range(count)]
    async with asyncio.TaskGroup() as streams:
        for client in clients:
            scope = {"connection": lambda client=client: client}
            stream = EventStream(house.live, 0)
            streams.create_task(stream(scope, client.receive, client.send))
        yield clients
        for client in clients:
            client.gone.set()


async def true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)


async def test_who_has_not_read_is_told_what_is_newest_then(house: House) -> None:
    async with watching(house) as (client,):
        await client.has(1)
        client.reads.clear()
        looks = house.looks
        await true(lambda: house.looks >= looks + 5)
        newest = json.loads(house.live.latest.removeprefix(b"data: "))
        client.reads.set()
        await true(lambda: newest in client.events)
    assert len(client.events) <= 4  # at most one more was on its way


async def test_one_look_serves_all_who_watch(house: House) -> None:
    async with watching(house, 8) as clients:
        for client in clients:
            await client.has(3)
    assert house.looks <= max(len(client.events) for client in clients)


async def test_nobody_looks_while_nobody_watches(house: House) -> None:
    async with watching(house) as (client,):
        await client.has(2)
    looks = house.looks
    await asyncio.sleep(3 * EVERY)
    assert house.looks == looks >= 2


async def test_what_was_before_nobody_watched_is_not_looked_back_to(house: House) -> None:
    for _ in range(2):
        async with watching(house) as (client,):
            await client.has(2)
        assert client.events[0]["seconds"] == 0 < client.events[1]["seconds"]


async def test_a_drain_waits_for_no_tick(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.live.stream.EVERY", 2 * PATIENCE)
    async with watching(house) as (client,):
        await client.has(1)
        house.life.drain()
        await client.has(2)
    assert [event["draining"] for event in client.events] == [False, True]


async def test_a_drain_cuts_who_does_not_read_even_then(house: House) -> None:
    async with watching(house, 2) as (stalled, reading):
        await stalled.has(1)
        stalled.reads.clear()
        await reading.has(2)
        house.life.drain()
        await true(lambda: stalled.was_cut)
    assert reading.events[-1]["draining"]
    assert not reading.was_cut
