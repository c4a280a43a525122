"""How h11 parses a stream, as in a server that answers each request before reading the next."""

from collections.abc import Iterable

import h11

from tools.fuzz_http.reading import CLOSED, OPEN, REFUSED, Reading, Request, request


def read(pieces: Iterable[bytes], max_head: int) -> Reading:
    return _Server(max_head).read(pieces)


class _Server:
    def __init__(self, max_head: int) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=max_head)
        self._requests: list[Request] = []
        self._head: h11.Request | None = None
        self._body = b""
        self._is_empty = False  # the position where a request should start

    def read(self, pieces: Iterable[bytes]) -> Reading:
        for piece in pieces:
            self._connection.receive_data(piece)
            try:
                while self._take_event():
                    pass
            except h11.RemoteProtocolError as error:
                reason = "an empty line before the request line" if self._is_empty else str(error)
                return Reading(tuple(self._requests), REFUSED, reason)
            if self._connection.our_state is h11.MUST_CLOSE:
                return Reading(tuple(self._requests), CLOSED, self._why_closed())
        return Reading(tuple(self._requests), OPEN)

    def _take_event(self) -> bool:
        """Returns whether there may be another event."""
        data, _ = self._connection.trailing_data
        self._is_empty = self._connection.their_state is h11.IDLE and data.startswith(b"\r")
        match self._connection.next_event():
            case h11.Request() as head:
                self._head, self._body = head, b""
                return True
            case h11.Data() as part:
                self._body += part.data
                return True
            case h11.EndOfMessage():
                self._answer()
                return self._connection.our_state is not h11.MUST_CLOSE
        return False  # more data is needed

    def _why_closed(self) -> str:
        assert self._head is not None
        if self._head.http_version == b"1.0":
            return "the end of a request of HTTP/1.0"
        return "the end of a request that says that it is the last"

    def _answer(self) -> None:
        head, connection = self._head, self._connection
        assert head is not None
        headers = tuple((bytes(name), bytes(value)) for name, value in head.headers)
        self._requests.append(request(bytes(head.method), bytes(head.target), headers, self._body))
        connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is not h11.MUST_CLOSE:
            connection.start_next_cycle()
