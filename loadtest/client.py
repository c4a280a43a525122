"""The client where wrk is not installed: asyncio, one request at a time on each connection.

In Python it takes as long for a request as many a server does, so the server waits for it: what a
fast server could do more is not seen. CPU time a request is measured on the server and stays right.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.load import Address, Load, quantile

PATIENCE = 30.0  # seconds for an answer


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in small letters
    body: bytes


@dataclass(frozen=True)
class Asked:
    """A request that was answered, or was not: then its status is 0."""

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

    async def ask(self, request: bytes) -> Answer:
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


LOST = (OSError, asyncio.IncompleteReadError, KeyError, ValueError)  # no answer, or none of HTTP


@dataclass(frozen=True)
class Told:
    """All that one process was told."""

    connections: int
    asked: list[Asked]
    seconds: float
    cpu: float  # seconds that it took itself


def ask(address: Address, requests: list[bytes], *, connections: int, seconds: float) -> Load:
    return load_of([told(address, requests, connections, seconds)])


def told(address: Address, requests: list[bytes], connections: int, seconds: float) -> Told:
    cpu, began = time.process_time(), time.perf_counter()
    asked = asyncio.run(_ask_on_all(address, requests, connections, began + seconds))
    took = time.perf_counter() - began
    return Told(connections, asked, took, time.process_time() - cpu)


def load_of(processes: list[Told]) -> Load:
    asked = [each for one in processes for each in one.asked]
    answered = [each for each in asked if each.status]
    times = [each.seconds for each in answered]
    return Load(
        connections=sum(one.connections for one in processes),
        seconds=max(one.seconds for one in processes),
        answers=len(answered),
        refused=sum(each.status >= 400 for each in answered),
        broken=len(asked) - len(answered),
        p50=quantile(times, 0.5),
        p99=quantile(times, 0.99),
        slowest=max(times, default=0.0),
        client_cpu=sum(one.cpu for one in processes),
    )


async def _ask_on_all(
    address: Address, requests: list[bytes], connections: int, end: float
) -> list[Asked]:
    asked: list[Asked] = []
    tasks = [
        ask_while(
            lambda: time.perf_counter() < end,
            address,
            [*requests[first:], *requests[:first]],
            asked,
        )
        for first in (number % len(requests) for number in range(connections))
    ]
    await asyncio.gather(*tasks)
    return asked


async def ask_while(
    wanted: Callable[[], bool],
    address: Address,
    requests: list[bytes],
    asked: list[Asked],
    *,
    pause: float = 0.0,
) -> None:
    """Ask over one connection, made anew if it breaks, one request after the other.

    With a `pause` between them, and as Retry-After says after a refusal; else at once.
    """
    connection: Connection | None = None
    number = 0
    while wanted():
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                connection = connection or await Connection.to(address)
                answer = await connection.ask(requests[number % len(requests)])
        except LOST as error:
            if connection:
                await connection.close()
            connection = None
            asked.append(Asked(began, time.perf_counter(), 0, lost=repr(error)))
            await asyncio.sleep(0.01)  # a server that is gone is not asked a million times
        else:
            retry = answer.headers.get("retry-after")
            asked.append(Asked(began, time.perf_counter(), answer.status, retry is not None))
            if pause:
                await asyncio.sleep(float(retry or pause))
        number += 1
    if connection:
        await connection.close()


def ask_once(address: Address, request: bytes) -> Answer:
    """One answer over a connection of its own; an error of LOST if there is none."""

    async def once() -> Answer:
        connection = await Connection.to(address)
        try:
            return await connection.ask(request)
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(once(), PATIENCE))
