"""The latest state of the service for the clients that watch GET /v1/live.

    metrics --twice a second--> Snapshot --history--> LiveSummary --> the latest event
                                                                         |
    client: event, wait for a newer one, event, ...  <-------------------+

There are ticks only while a client watches, and each event is made once for all of them: 0.15 ms of
the event loop, 0.25 with two workers, 0.5 with eight. A client that does not read misses events and
delays no other. When the service begins to drain there is one last event, which ends every stream.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from service.api.live.summary import ServiceState, Snapshot, summarize, take_snapshot
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
LAST_EVENT = 0.2  # seconds in which a client must read the last event before it is disconnected


class Event(NamedTuple):
    content: bytes  # as it is sent
    last: bool  # the service drains


class Live:
    def __init__(
        self, serving: ModelManager, settings: Settings, metrics: Metrics, life: Life, peers: Peers
    ) -> None:
        self._serving = serving
        self._most = settings.max_watchers
        self._metrics = metrics
        self._life = life
        self._peers = peers
        self._watchers: list[Callable[[], None]] = []  # what closes each connection
        self._history: deque[Snapshot] = deque(maxlen=QUANTILES + 1)
        self._next_tick: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()  # set when `latest` is replaced
        self.latest = Event(b"", last=False)  # while a client watches
        metrics.live_watchers.set(0)
        life.when_draining.append(self._draining)

    @contextmanager
    def watching(self, cut: Callable[[], None]) -> Iterator[None]:
        """Have events made; Problem if too many clients watch. `cut` closes the connection."""
        if not self._most:
            raise Problem(LIVE_CLOSED, "this route is closed: DIGITSERVE_MAX_WATCHERS is 0")
        if len(self._watchers) >= self._most:
            raise Problem(
                TOO_MANY_WATCHERS,
                f"{self._most} streams are open already (DIGITSERVE_MAX_WATCHERS); close one, or "
                "try again in 5 s",
                headers={"retry-after": "5"},
            )
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
                self._stop_ticks()
                self._history.clear()

    async def newer(self, than: Event) -> Event:
        """The latest event, as soon as it is not that one."""
        while self.latest is than:
            await self._changed.wait()
        return self.latest

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop_ticks()
        now = take_snapshot(self._metrics, time.perf_counter())
        if self._history and sum(now.seconds) < sum(self._history[-1].seconds):
            self._history.clear()  # the series of an old version have ended, with their requests
        self._history.append(now)
        before = self._history[max(0, len(self._history) - 1 - RATES)]
        summary = summarize(now, before, self._history[0], self._state(), time.time())
        content = b"data: %b\n\n" % summary.model_dump_json().encode()
        self.latest = Event(content, self._life.draining)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self._life.draining:
            loop.call_later(LAST_EVENT, self._cut_all)
        else:
            self._next_tick = loop.call_later(EVERY, self._tick)

    def _stop_ticks(self) -> None:
        if self._next_tick is not None:
            self._next_tick.cancel()
            self._next_tick = None

    def _state(self) -> ServiceState:
        model = self._serving.model
        return ServiceState(
            provider=model.engine.provider,
            provider_fallback=model.engine.info.provider_fell_back,
            version=str(model.number),
            workers=sum(row.version is not None for row in self._peers.states),
            draining=self._life.draining,
        )

    def _draining(self) -> None:
        """May be called from a signal handler: see Life."""
        if self._loop is not None and self._watchers:
            self._loop.call_soon_threadsafe(lambda: self._tick() if self._watchers else None)

    def _cut_all(self) -> None:
        for cut in [*self._watchers]:
            cut()
