"""A request that an ASGI application answers, and its response."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Scope

HIGH_WATER = 2**16  # bytes of a body that wait for the application before reading pauses
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}

log = logging.getLogger("service")


class Stream(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    write_paused: bool

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    async def writable(self) -> None: ...

    def response_complete(self) -> None: ...


class AsgiCycle:
    def __init__(
        self,
        stream: Stream,
        scope: Scope,
        default_headers: list[tuple[bytes, bytes]],
        *,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive  # whether the connection goes on after the response
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self._stream = stream
        self._default_headers = default_headers
        self._expects_continue = expects_continue
        self._body = bytearray()  # that has arrived, and the application has not received
        self._changed = asyncio.Event()  # for `receive`
        self._disconnected = False
        self._chunked = False
        self._left = 0  # bytes of the response's body, if it is not chunked

    # ---- from the connection ------------------------------------------------------------------

    def feed(self, body: bytes) -> None:
        """A part of the request's body has arrived."""
        if not self.response_complete:
            self._body += body
            if len(self._body) > HIGH_WATER:
                self._stream.pause_reading()
            self._changed.set()

    def feed_end(self) -> None:
        """The body is complete."""
        self.more_body = False
        self._changed.set()

    def disconnect(self) -> None:
        self._disconnected = True
        self._changed.set()

    # ---- to the application -------------------------------------------------------------------

    async def run(self, application: ASGIApp) -> None:
        """Call the application. It answers its own exceptions; what it leaves open is cut."""
        try:
            await application(self.scope, self.receive, self.send)
        except Exception:
            log.exception("a request was not answered")
        finally:
            if not (self.response_complete or self._disconnected):
                self._stream.transport.abort()

    async def receive(self) -> Message:
        if self._expects_continue and not self._stream.transport.is_closing():
            self._expects_continue = False
            self._stream.transport.write(CONTINUE)
        if not (self._disconnected or self.response_complete):
            self._stream.resume_reading()
            await self._changed.wait()
            self._changed.clear()
        if self._disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        if self._stream.write_paused:
            await self._stream.writable()
        if self._disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._send_head(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and not self.response_complete:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"an unexpected ASGI message: {message['type']}")

    def _send_head(self, status: int, headers: Any) -> None:
        self.response_started = True
        if self._expects_continue and self.more_body:
            # The client may send the body nevertheless, or not, and then reuse the connection: Go's
            # reverse proxies did (CVE-2024-24791), and the next request was taken for the body.
            self.keep_alive = False
        self._expects_continue = False
        lines, lengths, closes = [STATUS_LINES[status]], [], False
        for name, value in (*self._default_headers, *headers):
            if b"\n" in value or b"\r" in value:
                raise RuntimeError("a header of a response holds a line break")
            lines.append(b"%b: %b\r\n" % (name.lower(), value))
            if name == b"content-length":
                lengths.append(int(value))
            elif name == b"connection" and b"close" in value:
                closes = True
        self.keep_alive = self.keep_alive and not closes
        if not (self.keep_alive or closes):
            lines.append(b"connection: close\r\n")
        self._chunked = not lengths and self._has_body(status)
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        self._left = sum(lengths) if self._has_body(status) else 0
        self._stream.transport.write(b"".join([*lines, b"\r\n"]))

    def _has_body(self, status: int) -> bool:
        return self.scope["method"] != "HEAD" and status not in (204, 304)

    def _send_body(self, body: bytes, *, more: bool) -> None:
        transport = self._stream.transport
        if self.scope["method"] == "HEAD":
            pass
        elif self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            transport.write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body of a response is not as long as its Content-Length")
            transport.write(body)
        if not more:
            self.response_complete = True
            self._changed.set()
            self._stream.response_complete()
