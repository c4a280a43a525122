"""A server with predefined answers, for tests of clients."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from loadtest.client.result import Address


@dataclass
class Tiny:
    address: Address
    bodies: list[bytes] = field(default_factory=list)  # in order of arrival


@contextmanager
def tiny(answer: Callable[[int], bytes]) -> Iterator[Tiny]:
    """Answers request number 0, 1, ... with `answer(number)`; disconnects if that is empty."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(
            lambda reader, writer: _serve(reader, writer, running, answer), "127.0.0.1", 0
        )
    )
    running = Tiny(Address(*server.sockets[0].getsockname()[:2]))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    running: Tiny,
    answer: Callable[[int], bytes],
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("Content-Length: ")[2].split("\r\n")[0] or 0)
            body = await reader.readexactly(length)
            response = answer(len(running.bodies))
            running.bodies.append(body)
            if not response:
                break
            writer.write(response)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
