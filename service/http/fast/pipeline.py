"""One request at a time: what a connection has sent behind it waits for a later turn of the loop.

    received --head, body of one request--> parser --response complete, next turn--> the next one
             --an incomplete head---------> kept until the rest of it arrives
             --what is behind a request---> kept until its turn; reading is paused meanwhile

A read may hold thousands of requests, and parsing and answering them in one turn would keep every
other connection waiting.
"""

from abc import abstractmethod

from uvicorn.server import ServerState

from service.errors import Problem
from service.http.body import BufferFull, Reservation
from service.http.exchange import Begin
from service.http.fast.connection import Connection
from service.http.fast.grammar import (
    CHUNKED,
    FEW_LINES,
    SMALL,
    ChunkedBody,
    Head,
    check_beginning,
    end_of_empty_lines,
    parse_head,
    parse_small_head,
    too_large,
)
from service.http.fast_routes import FastRoute
from service.http.gateway import Gateway

END = b"\r\n\r\n"  # of a head
CR = 13


class Pipeline(Connection):
    __slots__ = (
        "_chunks", "_head", "_kept", "_position", "_turn_is_due", "behind", "body_left", "held",
        "in_message", "known_heads", "max_head",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, server_state: ServerState) -> None:
        super().__init__(gateway, server_state)
        self.in_message = False  # a head is complete, its body is not
        self.known_heads: dict[bytes, tuple[Head, FastRoute, Begin]] = gateway.known_heads
        self.max_head = gateway.settings.max_header
        self.body_left = 0  # bytes of the body that have not arrived, or CHUNKED
        self._chunks = ChunkedBody(self.max_head)  # of the latest body in chunks
        self._head = b""  # an incomplete one
        self.behind, self._position = b"", 0  # what waits for its turn, and where it begins
        self._turn_is_due = False
        self._kept = Reservation(self.gateway.budget)  # for `_head` or `behind`
        # For the head and the body of the request that is being received or answered.
        self.held = Reservation(self.gateway.budget)

    def data_received(self, data: bytes) -> None:
        if self.cycle is None and not (
            self._head or self.behind or self.in_message or self.write_paused
        ):  # as nearly always
            end = data.find(END) + 4
            known = self.known_heads.get(data[:end])
            if known is not None and end + known[0].length == len(data):
                self.begin_known(*known, data[end:])
                return
            position = self._feed_request(data, 0)
            if position < len(data):
                self._wait(data, position)
            return
        if self._head:
            data = self._head + data
        if self.behind:
            position, data = 0, self.behind[self._position :] + data
        elif self.in_message:
            position = self._feed_body(data, 0)
        elif self.write_paused or self.is_busy():
            position = 0
        else:
            position = self._feed_request(data, 0)
        if position < len(data):
            self._wait(data, position)

    @abstractmethod
    def begin(self, head: Head, size: int, body: bytes | None) -> None:
        """A head of `size` bytes is complete; the body is None if it arrives later, in parts."""

    @abstractmethod
    def begin_known(self, head: Head, route: FastRoute, begin: Begin, body: bytes) -> None:
        """The same, of a whole request with one of the `known_heads`."""

    @abstractmethod
    def feed(self, part: bytes) -> None:
        """A part of the body has arrived."""

    @abstractmethod
    def feed_end(self) -> None:
        """The body is complete."""

    @abstractmethod
    def body_goes_on(self) -> None:
        """All that has arrived was fed, and the body is not complete."""

    def refuse(self, problem: Problem) -> None:
        self.in_message = False  # nothing more is parsed
        super().refuse(problem)

    def go_on_soon(self) -> None:
        """Begin the next request in a later turn of the loop, if one waits and may begin."""
        if self.behind and self.transport.is_closing():
            self._drop()
        elif self.behind and not self._turn_is_due and self._may_go_on():
            self._turn_is_due = True
            self.gateway.turns.add(self._go_on)

    def response_complete(self) -> None:
        super().response_complete()
        if not self.in_message:
            self.release_request()
        self.go_on_soon()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.go_on_soon()

    def shutdown(self) -> None:
        """The server stops. What was received is answered, and then the connection is closed."""
        if not self.behind:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop()
        self._forget_head()
        self.held.release()
        super().connection_lost(exc)

    def release_request(self) -> None:
        """Release the memory of a request: the connection may stay idle for long."""
        self.cycle = None
        self.held.release()

    # ---- one turn -----------------------------------------------------------------------------

    def _feed_request(self, data: bytes, position: int) -> int:
        """Begin one request with what has arrived of it; returns where that ends in `data`."""
        # Empty lines before it are skipped, and count as a part of its head.
        begin = end_of_empty_lines(data, position) if data[position] == CR else position
        end = data.find(END, begin) + 4
        if end == 3:  # not even its head is complete
            self._keep_head(data[position:])
            return len(data)
        if self._head:
            self._forget_head()
        size, content = end - position, data[begin:end]
        try:
            if size <= SMALL and content.count(b"\r") <= FEW_LINES:
                head = parse_small_head(content)
            elif size <= self.max_head:
                head = parse_head(content)
            else:
                raise too_large(self.max_head)
        except Problem as problem:
            self.refuse(problem)
            return end
        length = head.length
        complete = end + length
        if length > CHUNKED and complete <= len(data):
            self.begin(head, size, data[end:complete])
            return complete
        self.in_message, self.body_left = True, length
        if length == CHUNKED:
            self._chunks = ChunkedBody(self.max_head)
        self.begin(head, size, None)
        return self._feed_body(data, end) if self.in_message else end

    def _feed_body(self, data: bytes, position: int) -> int:
        """The same for a body that has begun."""
        if self.body_left == CHUNKED:
            try:
                end = self._chunks.feed(data, position)
            except Problem as problem:
                self.refuse(problem)
                return len(data)
            part, self.in_message = self._chunks.decoded(), not self._chunks.complete
        else:
            part = data[position : position + self.body_left]
            end = position + len(part)
            self.body_left -= len(part)
            self.in_message = self.body_left > 0
        if part:
            self.feed(part)
        if self.in_message:
            self.body_goes_on()
        else:
            self.feed_end()
        return end

    # ---- what waits ---------------------------------------------------------------------------

    def _keep_head(self, head: bytes) -> None:
        """Wait for the rest of it; what cannot become valid is refused at once."""
        try:
            if len(head) > self.max_head:
                raise too_large(self.max_head)
            check_beginning(head, len(self._head))
            self._kept.resize(len(head))
        except Problem as problem:
            self.refuse(problem)
        else:
            if not self.head_has_begun and head.strip(b"\r\n"):
                self.head_has_begun = True
                self.close_in(self.seconds)
            self._head = head

    def _forget_head(self) -> None:
        self._head = b""
        self._kept.release()

    def _wait(self, data: bytes, position: int) -> None:
        """Keep what is behind a request until its turn; it is dropped where no turn comes."""
        if self.is_last or self.transport.is_closing():
            self._drop()
            return
        try:
            self._kept.resize(len(data))
        except BufferFull as full:
            self._drop()
            self.refuse(full)
        else:
            self._head = b""
            self.behind, self._position = data, position
            self.has_requests = True
            self.pause_reading()
            if self._may_go_on():
                self.go_on_soon()
            elif not self.in_message:
                self._check_next(data, position)

    def _check_next(self, data: bytes, position: int) -> None:
        """If no valid request follows, the next response announces that it is the last."""
        try:
            begin = end_of_empty_lines(data, position)
            end = data.find(END, begin) + 4
            if end == 3:
                check_beginning(data[position : position + self.max_head], 0)
            elif end - position <= self.max_head:
                parse_head(data[begin:end])
        except Problem as problem:
            self.refuse(problem)
            if self.is_last:
                self._drop()

    def _may_go_on(self) -> bool:
        if self.write_paused or self.is_throttled:
            return False
        return self.in_message or not self.is_busy()

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
        """Drop what waits."""
        self.behind, self._position = b"", 0
        if not self._head:
            self._kept.release()
        self.has_requests = False
        if not (self.is_last or self.transport.is_closing()):
            self.resume_reading()
