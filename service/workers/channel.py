"""Messages between the supervisor and a worker: lines of JSON over a pair of sockets.

    supervisor --Command--> worker      the other workers; reload; listen here; drain
    worker     --Report--> supervisor   the version it serves, every second and when it changes

A listening socket travels beside the line that names it. The channel ends when either process does:
the kernel closes it however that happens. The supervisor imports this: nothing heavy here.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel

AT_ONCE = 65536  # bytes
MOST_SOCKETS = 64  # in one message


class WorkerState(BaseModel):
    """A worker, as the others know it."""

    worker: int
    pid: int
    version: int | None = None  # None: it does not serve yet
    image_bytes: int | None = None  # of one image, as that version takes it
    reloaded: float = 0.0  # when its last requested reload began, time.monotonic()


class Command(BaseModel):
    workers: list[WorkerState]
    restarts: int  # since the service began
    native: tuple[int, int] = (0, 0)  # lines of native libraries, and those left out of the log
    reload: bool = False  # the current version of the store, now
    evict: int | None = None  # that version, if it is the previous one
    listen: list[int] = []  # slots whose sockets come along
    release: list[int] = []  # slots whose own worker listens again
    drain_until: float | None = None  # time.monotonic(), the same clock in all processes
    end_now: bool = False  # answer 503 to what is open, and end


class Report(BaseModel):
    version: int | None = None
    image_bytes: int | None = None
    reloaded: float = 0.0
    reload_all: bool = False  # a request: the other workers reload
    evict: int | None = None  # a request: the other workers evict that version
    leaving: bool = False  # it got a signal of its own, and drains
    failed: str | None = None  # why it cannot start


Message = TypeVar("Message", bound=BaseModel)


class Channel:
    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self.sockets: deque[socket.socket] = deque()  # that came along and were not taken yet

    def send(self, message: BaseModel, *sockets: socket.socket) -> None:
        """OSError if the other side is gone, or has left so much unread that it hangs."""
        line = message.model_dump_json(exclude_defaults=True).encode() + b"\n"
        if sockets:
            sent = socket.send_fds(self._end, [line], [each.fileno() for each in sockets])
        else:
            sent = self._end.send(line)
        if sent < len(line):
            raise BlockingIOError("the other side does not read")

    async def messages(self, kind: type[Message]) -> AsyncIterator[Message]:
        """What arrives, until the other side is gone."""
        rest = b""
        while True:
            try:
                content, fds, _, _ = socket.recv_fds(self._end, AT_ONCE, MOST_SOCKETS)
            except BlockingIOError:
                await self._arrival()
                continue
            except ConnectionResetError:
                return
            if not content:
                return
            self.sockets.extend(socket.socket(fileno=fd) for fd in fds)
            *lines, rest = (rest + content).split(b"\n")
            for line in lines:
                yield kind.model_validate_json(line)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._end.close()

    async def _arrival(self) -> None:
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._end, arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self._end)
