"""A plain request to a hot endpoint, as `hot` took it off a connection, and its way back there."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING

from service.exchange import Exchange
from service.front import HotRoute, request_id_of
from service.problems import logged_problem

if TYPE_CHECKING:
    from service.hot import HotProtocol

_STATUS = {status.value: b"%d %b" % (status, status.phrase.encode()) for status in HTTPStatus}
_CLOSE = b"connection: close\r\n"


class Date:
    """The header lines that uvicorn puts first. It makes a new list of them each second."""

    pairs: list[tuple[bytes, bytes]] | None = None
    lines = b""


class HotExchange(Exchange):
    """A request that was taken off uvicorn's hands; to uvicorn it looks like one of its cycles."""

    __slots__ = (
        "keep_alive",
        "protocol",
        "request_id",
        "response_complete",
        "route",
    )

    def __init__(
        self,
        protocol: HotProtocol,
        route: HotRoute,
        headers: Mapping[bytes, bytes],
        body: bytes,
        began: float,
    ) -> None:
        super().__init__(protocol.front.metrics, headers, body, began, began)
        self.protocol = protocol
        self.route = route
        self.request_id = request_id_of(headers)
        self.response_complete = False
        self.keep_alive = protocol.parser.should_keep_alive()

    def _send(self, status: int, head: bytes, content: bytes) -> None:
        protocol = self.protocol
        pairs = protocol.server_state.default_headers
        if pairs is not Date.pairs:
            Date.pairs, Date.lines = pairs, b"".join([b"%b: %b\r\n" % pair for pair in pairs])
        protocol.transport.write(
            b"HTTP/1.1 %b\r\n%b%bx-request-id: %b\r\n%bcontent-length: %d\r\n\r\n%b"
            % (
                _STATUS[status],
                Date.lines,
                head,
                self.request_id.encode(),
                b"" if self.keep_alive else _CLOSE,
                len(content),
                content,
            )
        )
        self.end(str(status))

    def _refuse(self, error: Exception) -> None:
        problem = logged_problem(error, self.request_id)
        if problem.headers.pop("connection", "") == "close":
            self.keep_alive = False  # which says so
        self._send(problem.status, *self.route.endpoint.refuse(problem, self.request_id))

    def end(self, code: str) -> None:
        """Count it, and let the connection go on."""
        metrics, protocol = self.metrics, self.protocol
        self.response_complete = True
        metrics.in_flight -= 1
        path = self.route.endpoint.route
        metrics.requests.note((path, "POST", code))
        if protocol.access_log:  # in uvicorn's words
            host, port = protocol.client or ("", 0)
            client = f"{host}:{port}"
            protocol.access_logger.info(
                '%s - "%s %s HTTP/%s" %s', client, "POST", path, "1.1", code
            )
        self.route.note_seconds(perf_counter() - self.began)
        protocol.ended(self)
