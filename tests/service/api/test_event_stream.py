"""Watchers get the newest event, computed once for all and only if there are watchers."""

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


class Source:
    """Everything behind the route, with the number of times that the metrics were read."""

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
    """The connection of a client that reads only while it is allowed to."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = asyncio.Event()
        self.was_cut = False
        self.events: list[dict[str, Any]] = []

    def hold_little(self) -> None:
        """Does nothing: there is no socket."""

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
        await wait_for(lambda: len(self.events) >= count)


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version]) -> Store:
    return published[0]


@pytest.fixture
def source(store: Store) -> Source:
    return Source(store)


@asynccontextmanager
async def watching(source: Source, count: int = 1) -> AsyncIterator[list[Client]]:
    clients = [Client() for _ in range(count)]
    async with asyncio.TaskGroup() as streams:
        for client in clients:
            scope = {"connection": lambda client=client: client}
            stream = EventStream(source.live, 0)
            streams.create_task(stream(scope, client.receive, client.send))
        yield clients
        for client in clients:
            client.gone.set()


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)


async def test_a_client_that_did_not_read_gets_the_newest_event_next(source: Source) -> None:
    async with watching(source) as (client,):
        await client.has(1)
        client.reads.clear()
        looks = source.looks
        await wait_for(lambda: source.looks >= looks + 5)
        newest = json.loads(source.live.latest.removeprefix(b"data: "))
        client.reads.set()
        await wait_for(lambda: newest in client.events)
    assert len(client.events) <= 4  # at most one more was in transit


async def test_metrics_are_read_once_for_all_watchers(source: Source) -> None:
    async with watching(source, 8) as clients:
        for client in clients:
            await client.has(3)
    assert source.looks <= max(len(client.events) for client in clients)


async def test_metrics_are_not_read_without_watchers(source: Source) -> None:
    async with watching(source) as (client,):
        await client.has(2)
    looks = source.looks
    await asyncio.sleep(3 * EVERY)
    assert source.looks == looks >= 2


async def test_rates_do_not_include_the_time_without_watchers(source: Source) -> None:
    for _ in range(2):
        async with watching(source) as (client,):
            await client.has(2)
        assert client.events[0]["seconds"] == 0 < client.events[1]["seconds"]


async def test_a_drain_sends_an_event_at_once(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.live.stream.EVERY", 2 * PATIENCE)
    async with watching(source) as (client,):
        await client.has(1)
        source.life.drain()
        await client.has(2)
    assert [event["draining"] for event in client.events] == [False, True]


async def test_a_drain_disconnects_clients_that_do_not_read(source: Source) -> None:
    async with watching(source, 2) as (stalled, reading):
        await stalled.has(1)
        stalled.reads.clear()
        await reading.has(2)
        source.life.drain()
        await wait_for(lambda: stalled.was_cut)
    assert reading.events[-1]["draining"]
    assert not reading.was_cut
