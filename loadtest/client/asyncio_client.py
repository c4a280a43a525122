"""The client where wrk is not installed: asyncio, one request at a time on each connection.

In Python a request takes as long here as in many servers, so a fast server waits for the client,
and its highest rate is not measured. CPU time a request is measured on the server, and is right.
For a service that keeps more than one core busy, several processes share the connections.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

from loadtest.client.result import Address, Load, quantile

PATIENCE = 30.0  # seconds for an answer
START = 60.0  # seconds until all processes have started


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in small letters
    body: bytes

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for messages."""
        return self.body[:300].decode(errors="replace")


@dataclass(frozen=True)
class Attempt:
    """A request and its outcome; the status is 0 if it got no answer."""

    began: float  # time.perf_counter
    ended: float
    status: int
    retry_after: bool = False
    lost: str = ""  # why there was no answer

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, address: Address) -> "Connection":
        return cls(*await asyncio.open_connection(*address))

    async def send(self, request: bytes) -> Answer:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(int(status.split(" ", 2)[1]), headers, body)

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


LOST = (OSError, asyncio.IncompleteReadError, KeyError, ValueError)  # no answer, or not HTTP


def send_once(address: Address, request: bytes) -> Answer:
    """Send one request over a new connection; an error of LOST if it gets no answer."""

    async def once() -> Answer:
        connection = await Connection.to(address)
        try:
            return await connection.send(request)
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(once(), PATIENCE))


def run_load(
    address: Address, requests: list[bytes], *, connections: int, seconds: float, threads: int = 1
) -> Load:
    """Send requests for a while, from so many processes, which are threads of wrk.

    They begin together, and the time begins when all have started.
    """
    if threads == 1:
        return _load(connections, [_run(address, requests, connections, seconds)])
    context = get_context("spawn")
    together = context.Barrier(threads, timeout=START)
    each, more = divmod(connections, threads)
    with ProcessPoolExecutor(threads, context, initializer=together.wait) as pool:
        running = [
            pool.submit(_run, address, requests, each + (number < more), seconds)
            for number in range(threads)
        ]
        return _load(connections, [one.result() for one in running])


@contextmanager
def sampling(
    address: Address, requests: list[bytes], *, connections: int, pause: float
) -> Iterator[list[Attempt]]:
    """Send over a few connections with pauses while the block runs; at least one request."""
    attempts: list[Attempt] = []
    done = threading.Event()

    async def sample() -> None:
        def wanted() -> bool:
            return not (attempts and done.is_set())

        each = (
            _send_while(wanted, address, requests, attempts, pause=pause)
            for _ in range(connections)
        )
        await asyncio.gather(*each)

    thread = threading.Thread(target=lambda: asyncio.run(sample()))
    thread.start()
    try:
        yield attempts
    finally:
        done.set()
        thread.join()


class _Part(NamedTuple):
    """What one process has measured."""

    attempts: list[Attempt]
    seconds: float
    cpu: float  # seconds that it took itself


def _run(address: Address, requests: list[bytes], connections: int, seconds: float) -> _Part:
    cpu, began = time.process_time(), time.perf_counter()
    attempts: list[Attempt] = []

    async def send_on_all() -> None:
        def wanted() -> bool:
            return time.perf_counter() < began + seconds

        firsts = (number % len(requests) for number in range(connections))
        turned = ([*requests[first:], *requests[:first]] for first in firsts)
        await asyncio.gather(*(_send_while(wanted, address, each, attempts) for each in turned))

    asyncio.run(send_on_all())
    return _Part(attempts, time.perf_counter() - began, time.process_time() - cpu)


async def _send_while(
    wanted: Callable[[], bool],
    address: Address,
    requests: list[bytes],
    attempts: list[Attempt],
    *,
    pause: float = 0.0,
) -> None:
    """Send over one connection, made anew if it breaks, one request after the other.

    With a `pause` between them, which is Retry-After after a refusal; or without any.
    """
    connection: Connection | None = None
    number = 0
    while wanted():
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                connection = connection or await Connection.to(address)
                answer = await connection.send(requests[number % len(requests)])
        except LOST as error:
            if connection:
                await connection.close()
            connection = None
            attempts.append(Attempt(began, time.perf_counter(), 0, lost=repr(error)))
            await asyncio.sleep(0.01)  # if the server is gone, the next attempts fail at once
        else:
            retry = answer.headers.get("retry-after")
            ended = time.perf_counter()
            attempts.append(Attempt(began, ended, answer.status, retry is not None))
            if pause:
                await asyncio.sleep(float(retry or pause))
        number += 1
    if connection:
        await connection.close()


def _load(connections: int, parts: Sequence[_Part]) -> Load:
    attempts = [each for one in parts for each in one.attempts]
    answered = [each for each in attempts if each.status]
    times = [each.seconds for each in answered]
    return Load(
        connections=connections,
        seconds=max(one.seconds for one in parts),
        answers=len(answered),
        refused=sum(each.status >= 400 for each in answered),
        broken=len(attempts) - len(answered),
        p50=quantile(times, 0.5),
        p99=quantile(times, 0.99),
        slowest=max(times, default=0.0),
        client_cpu=sum(one.cpu for one in parts),
    )
