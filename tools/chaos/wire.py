"""A connection at the level of bytes: what was sent, and what was received, expected or not."""

import asyncio
import time
from dataclasses import dataclass
from typing import Self

CONNECT_SECONDS = 10.0


class Lost(Exception):
    """No complete answer arrived: the message is the outcome."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


class Wire(asyncio.Protocol):
    """A connection of a client. Nothing is read while `paused`."""

    def __init__(self) -> None:
        self.used = False  # it has carried a complete answer
        self.process = ""  # see History.processes
        self.opened = time.monotonic()
        self._received = bytearray()
        self._ended: str | None = None  # in which way
        self._news = asyncio.Event()
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Self:
        """Raises Lost if the connection is refused."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, wire = await loop.create_connection(cls, *address)
        except TimeoutError:
            raise Lost("silent") from None
        except ConnectionResetError:
            raise Lost("reset") from None
        except OSError:
            raise Lost("refused") from None
        return wire

    @property
    def ended(self) -> bool:
        return self._ended is not None

    @property
    def unasked(self) -> int:
        """Bytes received after the last answer."""
        return len(self._received)

    def send(self, content: bytes) -> None:
        if self._ended is None:
            self._transport.write(content)

    def pause(self) -> None:
        self._transport.pause_reading()

    async def sent(self, patience: float) -> None:
        """Wait until the kernel has accepted the data, or the connection has ended."""
        until = time.monotonic() + patience
        while not self.ended and self._transport.get_write_buffer_size():
            if time.monotonic() > until:
                return
            await asyncio.sleep(0.02)

    async def answer(self, patience: float) -> Answer:
        """The next answer; raises Lost if the connection ends before, or on a timeout."""
        try:
            async with asyncio.timeout(patience):
                while (answer := self._parsed()) is None:
                    if self._ended is not None:
                        raise Lost(self._ended)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Lost("silent") from None
        self.used = True
        return answer

    async def end(self, patience: float) -> None:
        """Wait until the server closes, while received bytes are kept."""
        try:
            async with asyncio.timeout(patience):
                while not self.ended:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self._transport.abort()
        else:
            self._transport.close()

    def _parsed(self) -> Answer | None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = bytes(self._received[:end]).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", 0))
        if len(self._received) < end + 4 + size:
            return None
        body = bytes(self._received[end + 4 : end + 4 + size])
        del self._received[: end + 4 + size]
        return Answer(int(first.split()[1]), headers, body)

    # ---- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._news.set()

    def eof_received(self) -> None:
        self._ended = self._ended or "closed"
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = self._ended or ("closed" if error is None else "reset")
        self._news.set()
