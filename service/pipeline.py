"""One request at a time: what a connection has sent behind it waits for a later turn of the loop.

    received --head, body of one request--> parser --response complete, next turn--> the next one
             --an incomplete head---------> kept until the rest of it arrives
             --what is behind a request---> kept until its turn; reading is paused meanwhile

A read may hold thousands of requests, and parsing and answering them in one turn would keep every
other connection waiting. httptools parses all that it is given, so it is given no more than that.
Of an incomplete head the bytes are kept, since parsed they take up to 50 times the memory.
"""

from typing import Any

from httptools import HttpParserCallbackError, HttpParserError, HttpRequestParser

from service.buffer_budget import Reservation
from service.heads import Heads
from service.problems import Problem
from service.refusals import told
from service.waiting import BufferFull

END = b"\r\n\r\n"  # of a head, and of a body in chunks
SCOUT = 1024  # bytes of a parser
CHUNKS_AT_ONCE = 64  # pieces of a body that are parsed in one turn


class _Scout:
    """Of a parser that only finds out whether an incomplete head can become a valid one."""

    def on_headers_complete(self) -> None:
        raise ValueError("a head that does not end with an empty line, CR LF CR LF")


class Pipeline(Heads):
    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.in_message = False  # a head is complete, its body is not
        self.body_left: int | None = None  # bytes of the body; None: it comes in chunks
        self.head_size = 0  # bytes of the latest complete head
        self._tail = b""  # the last bytes of a body in chunks, at most 3
        self._head = b""  # an incomplete one
        self._scout: HttpRequestParser | None = None
        self.behind, self._position = b"", 0  # what waits for its turn, and where it begins
        self._turn_is_due = False
        self._kept = Reservation(self.front.budget)  # for `_head` or `behind`
        # For the head and the body of the request that is being received or answered.
        self.held = Reservation(self.front.budget)

    def data_received(self, data: bytes) -> None:
        if self._head:
            data = self._head + data
        if self.behind:
            position, data = 0, self.behind[self._position :] + data
        elif self.in_message:
            position = self._feed_body(data, 0)
        elif self.flow.write_paused or not (self.cycle is None or self.cycle.response_complete):
            position = 0
        else:
            position = self._feed_request(data, 0)
        if position < len(data):
            self._wait(data, position)

    def body_goes_on(self, received: int) -> None:
        """A part of a body has arrived, with `received` bytes in all."""

    def refuse(self, problem: Problem) -> None:
        self.in_message = False  # nothing more is parsed
        super().refuse(problem)

    def go_on_soon(self) -> None:
        """Begin the next request in the loop's next turn, if one waits and may begin."""
        if self.behind and not self._turn_is_due and self._may_go_on():
            self._turn_is_due = True
            self.loop.call_soon(self._go_on)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.held.size and not self.in_message and self.cycle.response_complete:
            self.let_go()
        self.go_on_soon()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.go_on_soon()

    def shutdown(self) -> None:
        """The server stops. What was received is answered, and says that the connection ends."""
        if not self.behind:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop()
        self._forget_head()
        self.held.release()
        super().connection_lost(exc)

    def let_go(self) -> None:
        """Keep nothing of a large request on a connection that may be idle for long."""
        self.held.release()
        self.headers = []
        scope_and_cycle: Any = None
        self.scope = self.cycle = scope_and_cycle

    # ---- one turn -----------------------------------------------------------------------------

    def _feed_request(self, data: bytes, position: int) -> int:
        """Parse one request, or what is there of it; returns where that ends in `data`."""
        end = data.find(END, position) + 4
        if end == 3:  # not even its head is complete
            self._keep_head(data[position:])
            return len(data)
        if self._head:
            self._forget_head()
        self.head_size = end - position
        if self.head_size > self.max_head:
            self.refuse(self.too_large())
            return end
        self.feed(data[position:end])
        return self._feed_body(data, end) if self.in_message else end

    def _feed_body(self, data: bytes, position: int) -> int:
        """The same of a body that has begun."""
        left = self.body_left
        if left:
            end = min(position + left, len(data))
            self.body_left = left - (end - position)
            if position < end:
                self.feed(data[position:end])
        else:
            end = self._feed_chunks(data, position)
        if self.in_message:
            self.body_goes_on(len(data))
        return end

    def _feed_chunks(self, data: bytes, position: int) -> int:
        """An empty line ends the body, and may be within it as well."""
        for _ in range(CHUNKS_AT_ONCE):
            if position == len(data):
                break
            # An empty line of which a part has been parsed before.
            overlap = (self._tail + data[position : position + 3]).find(END)
            if overlap >= 0:
                end = position + overlap + 4 - len(self._tail)
            else:
                end = data.find(END, position) + 4
                end = len(data) if end == 3 else end
            self._tail = (self._tail + data[max(position, end - 3) : end])[-3:]
            self.feed(data[position:end])
            position = end
            if not self.in_message:
                self._tail = b""
                break
        return position

    # ---- what waits ---------------------------------------------------------------------------

    def _keep_head(self, head: bytes) -> None:
        """Wait for the rest of it; what cannot become valid is refused at once."""
        if self._scout is None:
            self._scout = HttpRequestParser(_Scout())
        try:
            self._scout.feed_data(head[len(self._head) :])
            if len(head) > self.max_head:
                self.refuse(self.too_large())
                return
            self._kept.resize(len(head) + SCOUT)
        except HttpParserError as error:
            self.refuse_invalid(error, head)
        except BufferFull as error:
            self.refuse(told(error, self.front.metrics))
        else:
            if not self.head_has_begun and head.strip(b"\r\n"):
                self.head_has_begun = True
                self.close_in(self.seconds)
            self._head = head

    def _forget_head(self) -> None:
        self._head, self._scout = b"", None
        self._kept.release()

    def _wait(self, data: bytes, position: int) -> None:
        """Keep what is behind a request until its turn; it is dropped where no turn comes."""
        if self.is_last or self.transport.is_closing():
            self._drop()
            return
        try:
            self._kept.resize(len(data))
        except BufferFull as error:
            self._drop()
            self.refuse(told(error, self.front.metrics))
        else:
            self._head, self._scout = b"", None
            self.behind, self._position = data, position
            self.flow.has_requests = True
            self.flow.pause_reading()
            if self._may_go_on():
                self.go_on_soon()
            elif not self.in_message:
                self._check_next(data, position)

    def _check_next(self, data: bytes, position: int) -> None:
        """Where no request follows, the answer that is awaited says that it is the last."""
        end = data.find(END, position) + 4
        head = data[position : end if end > 3 else position + self.max_head]
        try:
            HttpRequestParser(_Scout()).feed_data(head)
        except HttpParserCallbackError:  # the scout's own: the head is complete
            pass
        except HttpParserError as error:
            self.refuse_invalid(error, head)
            if self.is_last:
                self._drop()

    def _may_go_on(self) -> bool:
        if self.flow.write_paused or self.flow.rests:
            return False
        return self.in_message or self.cycle is None or self.cycle.response_complete

    def _go_on(self) -> None:
        self._turn_is_due = False
        if not self.behind or not self._may_go_on():
            return
        data, self.behind = self.behind, b""  # so that a response now is not followed by another
        feed = self._feed_body if self.in_message else self._feed_request
        position = feed(data, self._position)
        if position < len(data):
            self._wait(data, position)
        else:
            self._drop()

    def _drop(self) -> None:
        """Nothing waits any more."""
        self.behind, self._position = b"", 0
        if not self._head:
            self._kept.release()
        self.flow.has_requests = False
        if not (self.is_last or self.transport.is_closing()):
            self.flow.resume_reading()
