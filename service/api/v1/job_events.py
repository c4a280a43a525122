"""GET /v1/retrain/{id}/events: server-sent events until the job has ended.

    database --each POLL seconds--> new events, and the job --SharedReads--> the clients

    retry: 2000

    id: 17
    data: {"kind": "progress", "at": ..., "data": {"epoch": 3, ...}}

A client that reconnects sends the last id it received, and misses nothing. A state that no workflow
could write, as that of a cancelled job, comes as an event without an id. The stream ends after the
job's last event, when the service drains, and when the database fails.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contract.jobs import FINAL, RUNNING, Event, Found, Position
from service.api.live.stream import HEADERS, LAST_EVENT, RETRY, receive_from_reader
from service.errors import Problem
from service.http.body import ClientGone, while_connected
from service.http.fast.connection import Connection
from service.lifecycle import Life
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.operation import LIVE_CLOSED, TOO_MANY_WATCHERS
from service.problem_types.retraining import TOO_MANY_REQUESTS_WAIT
from service.settings import Settings

POLL = 0.5  # seconds
SHARED = 0.25  # seconds that what was read is as new as streams need it; less than POLL
HEARTBEAT = 15.0  # seconds without an event after which proxies and clients get a comment
COMMENT = b": the job goes on\n\n"
ID = r"([0-9]{1,9})(?:\.([0-9]{1,9}))?"
_ID = re.compile(ID)


class EventSource(Protocol):
    """What a stream needs of `Jobs`."""

    async def events(self, job_id: str, since: Position) -> Found: ...


class SharedReads:
    """The events of jobs for many streams: those at the same position share a read.

    Each read takes some milliseconds of Python: sixteen streams that read for themselves made p99
    of predictions many times as long.
    """

    def __init__(self, jobs: EventSource, shared: float = SHARED) -> None:
        self._jobs = jobs
        self._shared = shared
        self._reads: dict[tuple[str, Position], asyncio.Task[Found]] = {}

    async def events(self, job_id: str, since: Position) -> Found:
        key = job_id, since
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(self._read(job_id, since))
            read.add_done_callback(lambda _: self._expire(key))
        return await asyncio.shield(read)  # a client that disconnects ends it for no other

    async def _read(self, job_id: str, since: Position) -> Found:
        return await self._jobs.events(job_id, since)

    def _expire(self, key: tuple[str, Position]) -> None:
        if not self._reads[key].cancelled():
            self._reads[key].exception()  # it may have no reader any more: it is not reported then
        asyncio.get_running_loop().call_later(self._shared, self._reads.pop, key)


def position_of(last_event_id: str) -> Position:
    """Problem 400 unless it is an id of this stream, or empty."""
    if not last_event_id:
        return Position()
    read = _ID.fullmatch(last_event_id)
    if read is None:
        raise Problem(
            BAD_PARAMETER,
            "Last-Event-ID: send the id of the last event that arrived, or leave the header out",
        )
    return Position(int(read[1]), int(read[2] or 0))


async def chunks(
    job_id: str,
    jobs: EventSource,
    since: Position,
    first: Found,
    ended: Callable[[], bool],
    *,
    poll: float = POLL,
    heartbeat: float = HEARTBEAT,
) -> AsyncIterator[bytes]:
    """The stream after a position, from what was found first, until the job or the service ends."""
    loop = asyncio.get_running_loop()
    position, found, state, seen = since, first, None, None
    yield RETRY
    sent_at = loop.time()
    while not ended():
        lines, job = [], found.job
        for position, event in found.events:
            lines.append(_written(event, position))
            if event.kind == "job":
                state = event.data["state"]
        # A worker writes the last state before its event: only one that stays without it has none.
        if job is not None and job.state != state and (job.state in RUNNING or job.state == seen):
            state = job.state
            data = job.model_dump(mode="json")
            lines.append(_written(Event(kind="job", at=datetime.now(UTC), data=data)))
        if not lines and loop.time() - sent_at >= heartbeat:
            lines = [COMMENT]
        if lines:
            yield b"".join(lines)
            sent_at = loop.time()
        if job is not None:
            seen = job.state
            if state == seen and seen in FINAL:
                return
            await asyncio.sleep(poll)
        try:
            found = await jobs.events(job_id, position)
        except Problem as problem:
            if problem.kind is not TOO_MANY_REQUESTS_WAIT:
                return  # a client that reconnects gets it as its answer
            found = Found([])
            await asyncio.sleep(poll)


def _written(event: Event, position: Position | None = None) -> bytes:
    number = ""
    if position is not None:
        number = (
            f"id: {position.job}.{position.decision}\n"
            if position.decision
            else f"id: {position.job}\n"
        )
    return f"{number}data: {event.model_dump_json()}\n\n".encode()


class JobStreams:
    """The open streams of a worker, at most DIGITSERVE_MAX_WATCHERS."""

    def __init__(self, settings: Settings, life: Life) -> None:
        self._most = settings.max_watchers
        self._life = life
        self._connections: list[Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        life.when_draining.append(self._draining)

    @property
    def draining(self) -> bool:
        return self._life.draining

    def check_room(self) -> None:
        """Raises Problem if there may be no further stream."""
        if not self._most:
            raise Problem(LIVE_CLOSED, "streams are closed: DIGITSERVE_MAX_WATCHERS is 0")
        if len(self._connections) >= self._most:
            raise Problem(
                TOO_MANY_WATCHERS,
                f"{self._most} streams of jobs are open already (DIGITSERVE_MAX_WATCHERS); close "
                "one, or try again in 5 s",
                headers={"retry-after": "5"},
            )

    @contextmanager
    def open(self, connection: Connection) -> Iterator[None]:
        self.check_room()
        self._loop = asyncio.get_running_loop()
        self._connections.append(connection)
        try:
            yield
        finally:
            self._connections.remove(connection)

    def _draining(self) -> None:
        """May be called from a signal handler: see Life."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end_soon, self._loop)

    def _end_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Streams end by themselves after POLL, unless their clients do not read."""
        loop.call_later(POLL + LAST_EVENT, self._cut_all)

    def _cut_all(self) -> None:
        for connection in [*self._connections]:
            connection.cut()


class JobStream(Response):
    def __init__(self, streams: JobStreams, events: AsyncIterator[bytes]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._streams = streams
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection | None = scope["connection"]()
        if connection is None:  # the client has hung up already
            return
        with self._streams.open(connection):
            connection.hold_little()
            scope["streams"] = True
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            with suppress(ClientGone):
                await while_connected(partial(receive_from_reader, receive), self._send(send))
            await send({"type": "http.response.body", "more_body": False})

    async def _send(self, send: Send) -> None:
        async for chunk in self._events:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
