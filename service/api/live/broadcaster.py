"""How the service does, as it happens, to whoever watches: what is behind GET /v1/live.

    metrics --twice a second--> Snapshot --history--> LiveSummary --> the latest event
                                                               |
    watcher: event, wait for a newer one, event, ...  <--------+

There are ticks only while somebody watches. One is reckoned once, however many watch: 0.15 ms of
the event loop, 0.25 with two workers, 0.5 with eight. Nothing waits for a watcher: one that does
not read misses events. When the service is told to stop there is one more event, and no stream
goes on behind it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from service.api.live.snapshot import Snapshot, take_snapshot
from service.api.live.summary import ServiceState, summarize
from service.errors import Problem
from service.lifecycle import Life
from service.models.manager import ModelManager
from service.problem_types.operation import LIVE_CLOSED, TOO_MANY_WATCHERS
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.workers.peers import Peers

EVERY = 0.5  # seconds between ticks
RATES = 4  # ticks that rates look back
QUANTILES = 20  # ticks that quantiles and batches look back
LAST_WORDS = 0.2  # seconds for the last event of a watcher that has not read the one before


class Event(NamedTuple):
    content: bytes  # as it is sent
    last: bool  # the service was told to stop


class Live:
    def __init__(
        self, serving: ModelManager, settings: Settings, metrics: Metrics, life: Life, peers: Peers
    ) -> None:
        self._serving = serving
        self._most = settings.max_watchers
        self._metrics = metrics
        self._life = life
        self._peers = peers
        self._watchers: list[Callable[[], None]] = []  # what cuts each off
        self._history: deque[Snapshot] = deque(maxlen=QUANTILES + 1)
        self._next_tick: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()  # there is a newer event than the latest of before
        self.latest = Event(b"", last=False)  # while somebody watches
        metrics.live_watchers.set(0)
        life.when_draining.append(self._draining)

    @contextmanager
    def watching(self, cut: Callable[[], None]) -> Iterator[None]:
        """Be one for whom there are ticks; Problem if there are as many as may be."""
        self._check_room()
        self._watchers.append(cut)
        self._metrics.live_watchers.set(len(self._watchers))
        try:
            if len(self._watchers) == 1:
                self._loop = asyncio.get_running_loop()
                self._tick()
            yield
        finally:
            self._watchers.remove(cut)
            self._metrics.live_watchers.set(len(self._watchers))
            if not self._watchers:
                self._rest()

    async def newer(self, than: Event) -> Event:
        """The latest event, as soon as it is not that one."""
        while self.latest is than:
            await self._news.wait()
        return self.latest

    def _check_room(self) -> None:
        if not self._most:
            raise Problem(LIVE_CLOSED, "this route is closed: DIGITSERVE_MAX_WATCHERS is 0")
        if len(self._watchers) >= self._most:
            raise Problem(
                TOO_MANY_WATCHERS,
                f"{self._most} streams are open already (DIGITSERVE_MAX_WATCHERS); close one, or "
                "try again in 5 s",
                headers={"retry-after": "5"},
            )

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        if self._next_tick is not None:
            self._next_tick.cancel()
        now = take_snapshot(self._metrics, time.perf_counter())
        if self._history and sum(now.seconds) < sum(self._history[-1].seconds):
            self._history.clear()  # the series of an old version are gone, and its requests
        self._history.append(now)
        self.latest = Event(self._content(), self._life.draining)
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._life.draining:
            loop.call_later(LAST_WORDS, self._cut_who_is_left)
        else:
            self._next_tick = loop.call_later(EVERY, self._tick)

    def _content(self) -> bytes:
        """Of the event that tells what the history says."""
        *_, now = history = self._history
        before = history[max(0, len(history) - 1 - RATES)]
        pulse = summarize(now, before, history[0], self._state(), time.time())
        return b"data: %b\n\n" % pulse.model_dump_json().encode()

    def _state(self) -> ServiceState:
        model = self._serving.model
        return ServiceState(
            provider=model.engine.provider,
            provider_fallback=model.engine.info.provider_fell_back,
            version=str(model.number),
            workers=sum(row.version is not None for row in self._peers.states),
            draining=self._life.draining,
        )

    def _rest(self) -> None:
        if self._next_tick is not None:
            self._next_tick.cancel()
            self._next_tick = None
        self._history.clear()

    # ---- the end ------------------------------------------------------------------------------

    def _draining(self) -> None:
        """Maybe from the middle of anything: see Life."""
        if self._loop is not None and self._watchers:
            self._loop.call_soon_threadsafe(self._last_tick)

    def _last_tick(self) -> None:
        if self._watchers:
            self._tick()

    def _cut_who_is_left(self) -> None:
        for cut in [*self._watchers]:
            cut()
