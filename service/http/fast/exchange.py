"""A plain request to a fast endpoint, which the fast path took from a connection and answers."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from service.batching.interface import QueueFull
from service.errors import Problem
from service.http.errors import record_refusal, refusal
from service.http.exchange import Exchange
from service.http.fast_routes import FastRoute
from service.http.gateway import Gateway
from service.http.headers import request_id_of
from service.http.scheduling import Connection
from service.telemetry.request_record import Peer

_STATUS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
# Header lines: of a connection that ends with this answer, and of one of HTTP/1.0 that does not.
CLOSE, KEEP_ALIVE = b"connection: close\r\n", b"connection: keep-alive\r\n"
_CODES = {status.value: str(status.value) for status in HTTPStatus}


class _Date:
    """The header lines that uvicorn puts first. It makes a new list of them each second."""

    pairs: list[tuple[bytes, bytes]] | None = None
    lines = b""


class FastConnection(Connection, Protocol):
    """What an exchange needs of the connection that its request came on."""

    gateway: Gateway
    client: Any
    server_state: Any
    transport: Any

    def ended(self, exchange: "FastExchange", code: str) -> None:
        """The response is written."""


class FastExchange(Exchange):
    """A request that uvicorn does not see; to its protocol, this looks like a cycle."""

    more_body = False
    __slots__ = (
        "connection", "keep_alive", "problem", "protocol", "request_id", "response_complete",
        "route", "trace",
    )  # fmt: skip

    def __init__(
        self,
        protocol: FastConnection,
        route: FastRoute,
        headers: Mapping[bytes, bytes],
        query: bytes,
        body: bytes,
        began: float,
        timeout: float,
    ) -> None:
        super().__init__(protocol.gateway.metrics, headers, query, body, began, began + timeout)
        self.protocol = protocol
        self.route = route
        self.request_id = request_id_of(headers)
        self.response_complete = False
        self.keep_alive = True
        self.connection = b""  # header line of an answer after which the connection goes on
        self.problem: Problem | None = None  # of the response
        begin_trace = protocol.gateway.begin_trace
        self.trace = begin_trace(headers) if begin_trace is not None else None

    @property
    def client(self) -> Peer:
        peer, proxies = self.protocol.client, self.protocol.gateway.proxies
        return proxies.client_of(peer, self.headers.items()) if proxies else peer

    @property
    def scheme(self) -> str:
        proxies = self.protocol.gateway.proxies
        return proxies.scheme_of(self.protocol.client, self.headers.items()) if proxies else "http"

    @property
    def latest(self) -> float:
        return self.began + self.protocol.gateway.settings.request_timeout

    def _send(self, status: int, head: bytes, content: bytes) -> None:
        protocol = self.protocol
        pairs = protocol.server_state.default_headers
        if pairs is not _Date.pairs:
            _Date.pairs, _Date.lines = pairs, b"".join([b"%b: %b\r\n" % pair for pair in pairs])
        protocol.transport.write(
            b"".join(
                (
                    _STATUS[status],
                    _Date.lines,
                    head,
                    self.connection if self.keep_alive else CLOSE,
                    b"" if self.trace is None else b"traceresponse: %b\r\n" % self.trace.response,
                    b"x-content-type-options: nosniff\r\nx-request-id: ",
                    self.request_id,
                    b"\r\ncontent-length: %d\r\n\r\n" % len(content),
                    content,
                )
            )
        )
        self.response_complete = True
        protocol.ended(self, _CODES[status])

    def _refuse(self, error: Exception) -> None:
        problem = self.problem = record_refusal(error, self.metrics, self.route.endpoint.route)
        if problem.headers.pop("connection", "") == "close":
            self.keep_alive = False  # writes the header
        self._send(
            problem.status, *refusal(problem, self.route.endpoint.route, self.request_id.decode())
        )
        if isinstance(error, QueueFull):
            self.protocol.gateway.throttle.add(self.protocol)
