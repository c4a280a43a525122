"""uvicorn's protocol with a limit to how long a client may take: to ask, to ask again, to read.

    connection made --seconds--> head complete ... answered --KEEP_ALIVE--> next head
                                                   answer written --seconds--> read by the client

One timer a connection, which looks at least every `seconds` whether anything is late and whether
answers are being read. uvicorn makes one after each answer, and none for the time its clients take
to send a head or to read an answer. The time for a body is measured where it is awaited.
"""

import asyncio
import sys
from fcntl import ioctl
from math import inf
from socket import SO_SNDBUF, SOL_SOCKET
from termios import TIOCOUTQ
from time import perf_counter
from typing import Any
from weakref import ref

from uvicorn.protocols.http.flow_control import FlowControl

from service.batching.interface import BufferFull
from service.buffer_budget import Reservation
from service.errors import Problem
from service.problem_types.http import HEAD_TIMEOUT
from service.protocol import Protocol
from service.refusals import told

LITTLE = 4096  # bytes; some five events


class Flow(FlowControl):
    """With more reasons not to read: uvicorn resumes whenever an application awaits a body or a
    response is complete.
    """

    has_requests = False  # that were received and have not begun
    rests = False  # after a refusal: see `rest`

    def resume_reading(self) -> None:
        """Unless there is a reason left not to; a client that takes no answers is one."""
        if not (self.has_requests or self.rests or self.write_paused):
            super().resume_reading()


class KeepAlive(Protocol):
    flow: Flow

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.seconds: float = self.front.settings.request_timeout
        self.keep_alive: float = self.front.settings.keep_alive  # seconds
        self.head_has_begun = False  # and is not complete
        # When the connection is closed unless a head is complete by then, on perf_counter.
        self.closes_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf  # at most; a timer that rings too early sets itself again
        # When it rang last: bytes of answers that the client had not taken, and `closes_at`.
        self._unread = 0, inf
        # Runs while the client takes no answers, of which so many bytes were left when it was set.
        self._stalled: asyncio.TimerHandle | None = None
        self._left = 0
        self._answers = Reservation(self.front.budget)  # for those that the kernel does not take

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: Any = self.scope
        scope["connection"] = ref(self)  # weak, for the scope is its own

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)
        # Written at once where the kernel takes it; what it does not take pauses the connection.
        transport.set_write_buffer_limits(high=LITTLE)
        self.close_in(self.seconds)

    def is_idle(self, now: float) -> bool:
        """What `on_response_complete` comes to on a connection that has been idle before."""
        self.closes_at = closes_at = now + self.keep_alive
        if self._rings_at > closes_at:
            return False
        self.server_state.total_requests += 1
        return True

    def idle_since(self) -> float:
        """When its last answer was complete, on perf_counter; inf: it is not idle."""
        if self.headers is None or self.head_has_begun:  # it has not sent a request yet, or does so
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
        except BufferFull as error:  # there is no other way to answer
            told(error, self.front.metrics)
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

    def refuse(self, problem: Problem) -> None:
        super().refuse(problem)
        if self.transport.is_closing():
            self.close_for_certain()

    def hold_little(self) -> None:
        """Let little wait here for a client that takes nothing, so that it is soon cut.

        Of a stream of events the kernel would take 4 MB, most of an hour, before anybody hears.
        """
        socket: Any = self.transport.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_SNDBUF, LITTLE)

    def cut(self) -> None:
        """Close the connection now, whatever was not sent."""
        self.transport.abort()

    def close_for_certain(self) -> None:
        """Close the connection, also if its client does not read the rest of an answer.

        A transport that is closed waits for ever to be rid of what is written already.
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

    def close_in(self, seconds: float) -> None:
        """Close the connection then, unless the head of a request is complete before."""
        self.closes_at = perf_counter() + seconds
        if self._rings_at > self.closes_at:
            self._ring_in(seconds)

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn thinks that any byte is a request."""

    def _watch_unread(self) -> None:
        """Cut the connection once the client has taken nothing for `seconds`."""
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
        seconds = min(seconds, self.seconds)  # to look whether answers are read
        self._rings_at = perf_counter() + seconds
        self._timer = self.loop.call_later(seconds, self._close_if_late)

    def _count_unread(self) -> int:
        """Bytes of answers here and, on Linux, in the kernel."""
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
        # The same bytes of the same answer, so few that nothing was paused.
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
