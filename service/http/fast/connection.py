"""A connection: its flow, and limits to clients that are slow to send or to read.

A client has a limited time to send a head, to send the next one, and to read a response:

    connection made --seconds--> head complete ... answered --KEEP_ALIVE--> next head
                                                   response written --seconds--> read

One timer a connection checks at least every `seconds` whether anything is late and whether
responses are being read: to set one after each response would cost more than to parse a request.
The time for a body is limited where the body is awaited.
"""

import asyncio
import sys
from fcntl import ioctl
from math import inf
from secrets import token_hex
from socket import SO_SNDBUF, SOL_SOCKET
from termios import TIOCOUTQ
from time import perf_counter
from typing import Any

from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from service.errors import Problem
from service.http.body import DISCARD_SECONDS, BufferFull, Reservation
from service.http.errors import record_refusal, refusal
from service.http.fast.cycle import AsgiCycle
from service.http.gateway import Gateway
from service.problem_types.http import HEAD_TIMEOUT
from service.telemetry.request_record import RequestRecord

LITTLE = 4096  # bytes; some five events


class Connection(asyncio.Protocol):
    __slots__ = (
        "_answers", "_left", "_read_paused", "_stalled", "_timer", "_unread", "_writable", "client",
        "closes_at", "cycle", "gateway", "has_answered", "has_requests", "head_has_begun",
        "is_last", "is_throttled", "keep_alive", "loop", "rings_at", "seconds", "server",
        "server_state", "transport", "write_paused",
    )  # fmt: skip
    transport: asyncio.Transport

    def __init__(self, gateway: Gateway, server_state: ServerState) -> None:
        """`server_state`: uvicorn's, where the server finds its connections and tasks."""
        self.gateway = gateway
        self.server_state = server_state
        self.loop = asyncio.get_running_loop()
        self.seconds = gateway.settings.request_timeout
        self.keep_alive = gateway.settings.keep_alive  # seconds
        self.cycle: Any = None  # an AsgiCycle, or a FastExchange; None: no request is in progress
        self.is_last = False  # whether the connection ends with the response that is being made
        self.has_answered = False
        self.head_has_begun = False  # and is not complete
        # Reasons not to read: the client reads no responses; requests that were received have not
        # begun; a refusal, see `RefusalThrottle`.
        self.write_paused = self.has_requests = self.is_throttled = False
        self._read_paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        # When the connection is closed unless a head is complete by then, on perf_counter.
        self.closes_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self.rings_at = inf  # at most; a timer that rings too early sets itself again
        # At its last ring: bytes of responses that the client had not read, and `closes_at`.
        self._unread = 0, inf
        # Runs while the client reads no responses; bytes that were left when it was set.
        self._stalled: asyncio.TimerHandle | None = None
        self._left = 0
        self._answers = Reservation(gateway.budget)  # for those that the kernel does not take

    # ---- callbacks of the transport -----------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.server_state.connections.add(self)  # type: ignore[arg-type]
        self.transport = transport
        self.server, self.client = get_local_addr(transport), get_remote_addr(transport)
        # Written at once if the kernel accepts it; what it does not accept pauses the connection.
        transport.set_write_buffer_limits(high=LITTLE)
        self.close_in(self.seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._forget_stall()
        self._answers.release()
        if isinstance(self.cycle, AsgiCycle):
            self.cycle.disconnect()
        self._writable.set()
        self.transport.close()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._writable.clear()
        self.pause_reading()
        try:
            self._answers.take(self.transport.get_write_buffer_size())
        except BufferFull as error:  # no response can be sent
            record_refusal(error, self.gateway.metrics)
            self.cut()
        else:
            self._watch_unread()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._writable.set()
        self._answers.release()
        self._forget_stall()
        if self.transport.is_closing():
            self._watch_unread()
        else:
            self.resume_reading()

    # ---- flow ---------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        if not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless a reason not to is left."""
        if self._read_paused and not (self.write_paused or self.has_requests or self.is_throttled):
            self._read_paused = False
            self.transport.resume_reading()

    async def writable(self) -> None:
        """Wait until the client has read enough, or is gone."""
        await self._writable.wait()

    def hold_little(self) -> None:
        """Buffer little for a client that reads nothing, so that it is soon cut.

        The kernel would accept 4 MB of a stream of events, most of an hour, before it blocks.
        """
        socket: Any = self.transport.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_SNDBUF, LITTLE)

    # ---- the end ------------------------------------------------------------------------------

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

    def idle_since(self) -> float:
        """When its last answer was complete, on perf_counter; inf: it is not idle."""
        if not self.has_answered or self.head_has_begun:  # before its first request, or during one
            return inf
        return self.closes_at - self.keep_alive

    def response_complete(self) -> None:
        """The response of the current request is written.

        If it is the last, the rest of the request's body is awaited and discarded, unless the
        service stops: a connection that is closed while its client still sends is reset, and the
        response may be lost.
        """
        self.has_answered = True
        cycle, draining = self.cycle, self.gateway.life.draining
        if cycle is not None and not cycle.keep_alive:
            self.is_last = True
        if self.transport.is_closing():
            self.close_for_certain()
        elif self.is_last and cycle is not None and cycle.more_body and not draining:
            self.resume_reading()
            self.close_in(DISCARD_SECONDS)
        elif self.is_last:
            self.close_for_certain()
        else:
            self.resume_reading()
            self.close_in(self.keep_alive)

    def shutdown(self) -> None:
        """The server stops: close the connection, after the response that is being made."""
        if self.is_busy():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def is_busy(self) -> bool:
        """Whether a request is complete, or is read by ASGI, and its response is not."""
        return self.cycle is not None and not self.cycle.response_complete

    def refuse(self, problem: Problem) -> None:
        """Respond to what is not a request, and close the connection."""
        record_refusal(problem, self.gateway.metrics)
        cycle = self.cycle
        if cycle is not None and cycle.more_body and cycle.response_started:
            # Its body is broken: an error behind a response would be taken for the next one.
            self.close_for_certain()
            return
        if self.is_busy() and not cycle.more_body:
            # The current request is still answered, but no other.
            self.is_last, cycle.keep_alive = True, False
            self.pause_reading()
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

    # ---- limits of time -----------------------------------------------------------------------

    def close_in(self, seconds: float) -> None:
        """Close the connection then, unless the head of a request is complete by then."""
        self.closes_at = perf_counter() + seconds
        if self.rings_at > self.closes_at:
            self._ring_in(seconds)

    def _ring_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        seconds = min(seconds, self.seconds)  # to check whether responses are read
        self.rings_at = perf_counter() + seconds
        self._timer = self.loop.call_later(seconds, self._close_if_late)

    def _close_if_late(self) -> None:
        self._timer, self.rings_at = None, inf
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
        if self.is_busy():
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

    def _count_unread(self) -> int:
        """Bytes of responses here and, on Linux, in the kernel."""
        waiting = self.transport.get_write_buffer_size()
        if sys.platform == "linux":
            socket: Any = self.transport.get_extra_info("socket")
            answer = ioctl(socket.fileno(), TIOCOUTQ, bytes(4))
            waiting += int.from_bytes(answer, sys.byteorder)
        return waiting
