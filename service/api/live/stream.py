"""GET /v1/live: server-sent events until the client disconnects or the service drains.

    metrics --twice a second--> Snapshot --history--> LiveSummary --> the latest event
                                                                         |
    client: event, wait for a newer one, event, ...  <-------------------+

    retry: 2000

    data: {"at": ..., "requests_per_second": ..., ...}

With DIGITSERVE_PEERS the numbers are sums over all replicas, and the event has a row of each: see
`replicas`.

There are ticks only while a client watches, and each event is made once for all of them: 0.15 ms of
the event loop, 0.25 with two workers, 0.5 with eight. A client that does not read misses events and
delays no other. When the service begins to drain there is one last event, which ends every stream.

A stream is the last response of its connection. Its slot is taken when it begins and free as soon
as the client has disconnected.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.api.live.replicas import (
    PATH,
    ReplicaReport,
    Replicas,
    ReplicaSummary,
    summary_of,
)
from service.api.live.summary import BatchSize, History, Load, batches_of, load_of, take_snapshot
from service.api.schemas import refusals
from service.errors import Problem
from service.http.body import ClientGone, while_connected
from service.http.fast.connection import Connection
from service.lifecycle import Life
from service.models.manager import ModelManager
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.operation import LIVE_CLOSED, TOO_MANY_WATCHERS
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.workers.peers import Peers

EVERY = 0.5  # seconds between ticks
RATES = 4  # ticks that rates look back
QUANTILES = 20  # ticks that quantiles and batches look back
LAST_EVENT = 0.2  # seconds in which a client must read the last event before it is disconnected
RETRY = b"retry: 2000\n\n"  # milliseconds until a browser that lost the stream reconnects
HEADERS = {
    "cache-control": "no-store",
    "connection": "close",
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",  # or nginx buffers events until it has some kilobytes of them
}


class LiveSummary(Load):
    """The content of an event."""

    replica: str = Field(description="the one that answers")
    provider: str = Field(description="of the replica that answers, as the next three")
    provider_fallback: bool = Field(description="whether it is not the configured provider")
    version: str = Field(description="of the served model")
    draining: bool = Field(description="the service stops; the stream ends with this event")
    workers: int = Field(description="processes that serve, of all replicas in the sums")
    at: float = Field(description="seconds since 1970")
    batches: list[BatchSize] = Field(description="model calls by number of images")
    replicas: list[ReplicaSummary] | None = Field(
        description="a row of each replica; null: DIGITSERVE_PEERS is not set"
    )
    replicas_problem: str | None = Field(description="why replicas may be missing")


class Live:
    """The latest event, for all clients that watch."""

    def __init__(
        self, serving: ModelManager, settings: Settings, metrics: Metrics, life: Life, peers: Peers
    ) -> None:
        self._serving = serving
        self._name = settings.replica_name
        self._most = settings.max_watchers
        self._metrics = metrics
        self._life = life
        self._peers = peers
        self._watchers: list[Callable[[], None]] = []  # what closes each connection
        self._history = History(rates=RATES, quantiles=QUANTILES)
        self._replicas = Replicas(settings)
        self._next_tick: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()  # set when `latest` is replaced
        self.latest = b""  # as it is sent
        self.ended = False  # whether that is the last one
        metrics.live_watchers.set(0)
        life.when_draining.append(self._draining)

    @contextmanager
    def watching(self, cut: Callable[[], None]) -> Iterator[None]:
        """Have events made; Problem if too many clients watch. `cut` closes the connection."""
        self.check_open()
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
                self._replicas.start()
                self._tick()
            yield
        finally:
            self._watchers.remove(cut)
            self._metrics.live_watchers.set(len(self._watchers))
            if not self._watchers:
                self._stop_ticks()
                self._replicas.stop()
                self._history.clear()

    def check_open(self) -> None:
        if not self._most:
            raise Problem(LIVE_CLOSED, "this route is closed: DIGITSERVE_MAX_WATCHERS is 0")

    def report(self) -> ReplicaReport:
        """Of this replica, for another one that is watched."""
        model = self._serving.model
        return ReplicaReport(
            replica=self._name,
            version=str(model.number),
            provider=model.engine.provider,
            workers=sum(row.version is not None for row in self._peers.states),
            draining=self._life.draining,
            snapshot=take_snapshot(self._metrics, time.perf_counter()),
        )

    async def newer(self, than: bytes) -> bytes:
        """The latest event, as soon as it is not that one."""
        while self.latest is than:
            await self._changed.wait()
        return self.latest

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop_ticks()
        summary = self._summary()
        self.latest = b"data: %b\n\n" % summary.model_dump_json().encode()
        self.ended = self._life.draining
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self.ended:
            loop.call_later(LAST_EVENT, self._cut_all)
        else:
            self._next_tick = loop.call_later(EVERY, self._tick)

    def _summary(self) -> LiveSummary:
        own, model = self.report(), self._serving.model
        self._history.add(own.snapshot)
        rows = [replica.summary for replica in self._replicas.known]
        periods = [each.period for each in self._replicas.known if each.period is not None]
        if not any(row.load and row.replica == own.replica for row in rows):
            rows.insert(0, summary_of(own, self._history, address=None))
            periods.append(self._history.period)
        return LiveSummary(
            **load_of(periods).model_dump(),
            batches=batches_of(periods),
            at=round(time.time(), 3),
            workers=sum(row.workers for row in rows if row.load),
            provider_fallback=model.engine.info.provider_fell_back,
            replicas=rows if self._replicas else None,
            replicas_problem=self._replicas.problem,
            **own.model_dump(include={"replica", "provider", "version", "draining"}),
        )

    def _stop_ticks(self) -> None:
        if self._next_tick is not None:
            self._next_tick.cancel()
            self._next_tick = None

    def _draining(self) -> None:
        """May be called from a signal handler: see Life."""
        if self._loop is not None and self._watchers:
            self._loop.call_soon_threadsafe(lambda: self._tick() if self._watchers else None)

    def _cut_all(self) -> None:
        for cut in [*self._watchers]:
            cut()


class EventStream(Response):
    def __init__(self, live: Live, most: int) -> None:
        """`most`: events; 0: it ends with the client or with the service."""
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._live = live
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection | None = scope["connection"]()
        if connection is None:  # the client has hung up already
            return
        with self._live.watching(cut=connection.cut):
            connection.hold_little()
            scope["streams"] = True
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            try:
                await while_connected(
                    partial(receive_from_reader, receive), self._send_events(send)
                )
            except ClientGone:
                await send({"type": "http.response.body", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        event, sent, begin = self._live.latest, 1, RETRY
        while True:
            goes_on = not self._live.ended and sent != self._most
            body = begin + event
            await send({"type": "http.response.body", "body": body, "more_body": goes_on})
            if not goes_on:
                return
            event, sent, begin = await self._live.newer(event), sent + 1, b""


async def receive_from_reader(receive: Receive) -> Message:
    """A client that sends a body is no reader of a stream: it counts as disconnected."""
    message = await receive()
    return {"type": "http.disconnect"} if message.get("more_body", False) else message


# In OpenAPI 3.1 the schema of a stream is that of each event, where anybody agrees on anything.
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": f"#/components/schemas/{LiveSummary.__name__}"},
        },
        "retry": {"type": "integer", "description": "milliseconds, in the first"},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, each as the schema says",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    **refusals(BAD_PARAMETER, LIVE_CLOSED, TOO_MANY_WATCHERS),
}


def live_routes(live: Live) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/v1/live",
        summary="Rates, quantiles, batches and queue, twice a second",
        description="A stream without end: an event at once and one each half second, until the "
        "client hangs up or the service stops. With several workers each reports on all.",
        tags=["operation"],
        status_code=200,
        response_class=EventStream,
        responses=_RESPONSES,
    )
    async def watch(
        events: Annotated[int, Query(ge=0, description="end after so many; 0: never")] = 0,
    ) -> EventStream:
        return EventStream(live, events)

    @router.get(
        PATH,
        summary="The counts of this replica since its start",
        description="The live view of another replica requests it, where DIGITSERVE_PEERS is set. "
        "Metrics for other programs are at `/metrics`.",
        tags=["operation"],
        responses=refusals(LIVE_CLOSED),
    )
    async def snapshot() -> ReplicaReport:
        live.check_open()
        report = live.report()
        counts = report.snapshot
        without_this = counts.model_copy(update={"inflight": counts.inflight - 1})
        return report.model_copy(update={"snapshot": without_this})

    return router
