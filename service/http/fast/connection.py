"""uvicorn's HTTP protocol with an answer to malformed requests and limits to slow clients.

Differences to uvicorn's own:

- Upgrades. An `Upgrade` header is ignored, as RFC 9110 section 7.8 allows: the request is served
  over HTTP/1.1 and the bytes behind its head are its body. llhttp, the parser below httptools, ends
  such a message at its head instead, and uvicorn then drops the rest of the segment and parses the
  next one as a new request. Behind a proxy that reads the message to its end, a client could then
  smuggle requests of its own into a connection that other clients share.

      head --llhttp: upgrade--> the same head without its Upgrade header, then the body --> llhttp

- Bytes that are not HTTP get a problem document, and the connection is closed.
- A client has a limited time to send a head, to send the next one, and to read a response:

      connection made --seconds--> head complete ... answered --KEEP_ALIVE--> next head
                                                     response written --seconds--> read

  One timer a connection checks at least every `seconds` whether anything is late and whether
  responses are being read. uvicorn sets one after each response, and none for heads and reading.
  The time for a body is limited where the body is awaited.
"""

import asyncio
import re
import sys
from fcntl import ioctl
from math import inf
from secrets import token_hex
from socket import SO_SNDBUF, SOL_SOCKET
from termios import TIOCOUTQ
from time import perf_counter
from typing import Any
from weakref import ref

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Problem
from service.http.body import BufferFull, Reservation
from service.http.errors import record_refusal, refusal
from service.http.gateway import Gateway
from service.http.methods import KNOWN
from service.problem_types.http import BAD_HTTP, HEAD_TIMEOUT, METHOD_NOT_IMPLEMENTED
from service.telemetry.request_record import RequestRecord

# A request line, or the beginning of one.
METHOD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32})(?:(?: \S*){0,2}\Z| \S+ HTTP/1\.[01]\r\n)")
LITTLE = 4096  # bytes; some five events


class Flow(FlowControl):
    """With more reasons to stop reading than uvicorn has, which resumes whenever an application
    awaits a body or a response is complete.
    """

    has_requests = False  # that were received and have not begun
    is_throttled = False  # after a refusal: see `RefusalThrottle`

    def resume_reading(self) -> None:
        """Unless a reason to stop is left; a client that reads no responses is one."""
        if not (self.has_requests or self.is_throttled or self.write_paused):
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """One connection. `config.app` must be a Gateway."""

    flow: Flow

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        gateway: Any = self.config.app
        self.gateway: Gateway = gateway
        self.refusal: Problem | None = None  # why a callback of the parser raised
        self.is_last = False  # whether the connection ends with the response that is being made
        self.seconds: float = self.gateway.settings.request_timeout
        self.keep_alive: float = self.gateway.settings.keep_alive  # seconds
        self.head_has_begun = False  # and is not complete
        # When the connection is closed unless a head is complete by then, on perf_counter.
        self.closes_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf  # at most; a timer that rings too early sets itself again
        # At its last ring: bytes of responses that the client had not read, and `closes_at`.
        self._unread = 0, inf
        # Runs while the client reads no responses; bytes that were left when it was set.
        self._stalled: asyncio.TimerHandle | None = None
        self._left = 0
        self._answers = Reservation(self.gateway.budget)  # for those that the kernel does not take

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: Any = self.scope
        scope["connection"] = ref(self)  # weak, for the scope is its own

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)
        # Written at once if the kernel accepts it; what it does not accept pauses the connection.
        transport.set_write_buffer_limits(high=LITTLE)
        self.close_in(self.seconds)

    def is_idle(self, now: float) -> bool:
        """`on_response_complete`, shortened, for a connection that was idle before."""
        self.closes_at = closes_at = now + self.keep_alive
        if self._rings_at > closes_at:
            return False
        self.server_state.total_requests += 1
        return True

    def idle_since(self) -> float:
        """When its last answer was complete, on perf_counter; inf: it is not idle."""
        if self.headers is None or self.head_has_begun:  # before its first request, or during one
            return inf
        return self.closes_at - self.keep_alive

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.close_for_certain()
            return
        if self.is_last:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.close_in(self.keep_alive)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()
        try:
            self._answers.take(self.transport.get_write_buffer_size())
        except BufferFull as error:  # no response can be sent
            record_refusal(error, self.gateway.metrics)
            self.cut()
        else:
            self._watch_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answers.release()
        self._forget_stall()
        if self.transport.is_closing():
            self._watch_unread()
        else:
            self.flow.resume_reading()

    def hold_little(self) -> None:
        """Buffer little for a client that reads nothing, so that it is soon cut.

        The kernel would accept 4 MB of a stream of events, most of an hour, before it blocks.
        """
        socket: Any = self.transport.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_SNDBUF, LITTLE)

    def cut(self) -> None:
        """Close the connection now, without sending the rest."""
        self.transport.abort()

    def close_for_certain(self) -> None:
        """Close the connection, even if its client does not read the rest of a response.

        A closed transport waits for ever until what was written is sent.
        """
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch_unread()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._forget_stall()
        self._answers.release()
        super().connection_lost(exc)

    def feed(self, data: bytes) -> None:
        """Give the parser a head, or a part of a body. What it does not accept is refused."""
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade:
                self._parse_again(self._head_without_upgrade())
        except HttpParserError as error:
            self.refuse_invalid(error, data)

    def refuse_invalid(self, error: HttpParserError, data: bytes) -> None:
        self.logger.warning("Invalid HTTP request received.")  # as uvicorn does
        self.refuse(self.refusal or _problem_of(error, data))

    def _parse_again(self, head: bytes) -> None:
        # By a new parser: where this message is the connection's last, the old one reads no more.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        """The head that has just been parsed, as the parser must read it again.

        Raises the refusal of CONNECT, whose head no other protocol follows either: it cannot be
        parsed as anything but the last message of a connection.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refusal = Problem(
                METHOD_NOT_IMPLEMENTED, "CONNECT is not implemented: this is not a proxy"
            )
            raise HttpParserError
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0].lower() != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def refuse(self, problem: Problem) -> None:
        """Respond to what is not a request, and close the connection."""
        record_refusal(problem, self.gateway.metrics)
        latest: Any = self.cycle
        if latest is not None and latest.more_body and latest.response_started:
            # Its body is broken: an error behind a response would be taken for the next one.
            self.close_for_certain()
            return
        waits = latest is not None and not latest.response_complete
        if self.pipeline or (waits and not latest.more_body):
            # The current request is still answered, but no other.
            self.pipeline.clear()
            self.is_last, latest.keep_alive = True, False
            self.flow.pause_reading()
            return
        request_id = token_hex(8)
        ended = RequestRecord(request_id.encode(), perf_counter(), self.client, {}, problem=problem)
        labels = ("other", "other", str(problem.status))
        self.gateway.metrics.request_begins()  # so that it is added up soon, as all are
        self.gateway.metrics.request_ends(labels)
        self.gateway.report(ended, labels, 0.0)
        head, body = refusal(problem, "", request_id)
        start = f"HTTP/1.1 {problem.status} {problem.title}\r\n"
        rest = (
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(b"".join([start.encode(), head, rest.encode(), body]))
        self.close_for_certain()

    def close_in(self, seconds: float) -> None:
        """Close the connection then, unless the head of a request is complete by then."""
        self.closes_at = perf_counter() + seconds
        if self._rings_at > self.closes_at:
            self._ring_in(seconds)

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn takes any byte for a request."""

    def _watch_unread(self) -> None:
        """Cut the connection once the client has read nothing for `seconds`."""
        if self._stalled is None:
            self._left = self._count_unread()
            self._stalled = self.loop.call_later(self.seconds, self._cut_if_stalled)

    def _cut_if_stalled(self) -> None:
        self._stalled = None
        if self._count_unread() >= self._left:
            self.cut()
        else:
            self._watch_unread()

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _ring_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        seconds = min(seconds, self.seconds)  # to check whether responses are read
        self._rings_at = perf_counter() + seconds
        self._timer = self.loop.call_later(seconds, self._close_if_late)

    def _count_unread(self) -> int:
        """Bytes of responses here and, on Linux, in the kernel."""
        waiting = self.transport.get_write_buffer_size()
        if sys.platform == "linux":
            socket: Any = self.transport.get_extra_info("socket")
            answer = ioctl(socket.fileno(), TIOCOUTQ, bytes(4))
            waiting += int.from_bytes(answer, sys.byteorder)
        return waiting

    def _close_if_late(self) -> None:
        self._timer, self._rings_at = None, inf
        left = self.closes_at - perf_counter()
        before, self._unread = self._unread, (self._count_unread(), self.closes_at)
        if left <= 0.001:  # uvloop's timers ring up to a millisecond early
            self._close()
        # The same bytes of the same response, too few to pause the connection.
        elif left < inf and before[0] and before == self._unread:
            self.cut()
        elif left < inf:
            self._ring_in(left)

    def _close(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.close_in(self.seconds)  # what is late comes behind a request not answered yet
        elif self.head_has_begun:
            self.refuse(
                Problem(
                    HEAD_TIMEOUT,
                    f"the head of the request did not arrive within {self.seconds:g} s "
                    "(DIGITSERVE_REQUEST_TIMEOUT)",
                )
            )
        else:
            self.close_for_certain()


def _problem_of(error: HttpParserError, data: bytes) -> Problem:
    """Why the parser refused these bytes, as far as it can be known."""
    method = METHOD.match(data)
    # A known one begins a request that was whole: what the parser refused stands behind that.
    known = method is None or method[1].decode() in KNOWN
    if isinstance(error, HttpParserInvalidMethodError) and method is not None and not known:
        return Problem(
            METHOD_NOT_IMPLEMENTED, f"the method {method[1].decode()} is not implemented"
        )
    return Problem(BAD_HTTP, "the request is not valid HTTP/1.1")
