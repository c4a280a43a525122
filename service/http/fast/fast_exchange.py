"""A plain request and its response: what an AsgiCycle is to the connection, without ASGI.

    exchange.reply(status, head, content) --status line, headers--> one write to the transport

The requests of a batch are answered in one pass, see `reply_to_all`.
"""

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Protocol, Self

from uvicorn.server import ServerState

from service.batching.interface import QueueFull
from service.errors import Problem
from service.http.errors import record_refusal, refusal
from service.http.exchange import Exchange
from service.http.fast.cycle import STATUS_LINES
from service.http.fast.grammar import Head
from service.http.fast_routes import FastRoute
from service.http.gateway import Gateway
from service.http.headers import NEW_IDS, request_id_of
from service.telemetry.request_record import Peer, Timings
from service.telemetry.trace_context import Trace

# Header lines: of a connection that ends with this answer, and of one of HTTP/1.0 that does not.
CLOSE, KEEP_ALIVE = b"connection: close\r\n", b"connection: keep-alive\r\n"
BEFORE_ID = b"x-content-type-options: nosniff\r\nx-request-id: "
RESPONSE = b"%b%b\r\n%bcontent-length: %d\r\n\r\n%b"
_CODES = {status: str(status) for status in STATUS_LINES}


class Owner(Protocol):
    """The connection of an exchange."""

    gateway: Gateway
    server_state: ServerState
    transport: asyncio.Transport
    client: Peer
    timeout: float  # seconds

    def ended(self, exchange: "FastExchange", code: str) -> None: ...

    def release(self, exchange: "FastExchange", now: float) -> None: ...

    def pause_requests(self) -> None: ...

    def resume_requests(self) -> None: ...


class FastExchange(Exchange):
    """A plain request; to the connection, it is what an AsgiCycle is."""

    __slots__ = (
        "connection", "keep_alive", "problem", "protocol", "request_id", "route", "trace",
    )  # fmt: skip
    more_body = False

    def __init__(
        self, protocol: Owner, route: FastRoute, head: Head, body: bytes, began: float
    ) -> None:
        # What Exchange.__init__ does, with a call less.
        gateway, named = protocol.gateway, head.named
        self.metrics = gateway.metrics
        self.headers = named
        self.query = head.query
        self.body = body
        self.began = began
        self.deadline = began + protocol.timeout
        self.cancel_work = self.timings = None
        self.over = self.beside = False
        self.protocol = protocol
        self.route = route
        self.request_id = request_id_of(named) if b"x-request-id" in named else next(NEW_IDS)
        self.keep_alive = True
        self.connection = b""  # header line of an answer after which the connection goes on
        self.problem: Problem | None = None  # of the response
        begin_trace = gateway.begin_trace
        self.trace: Trace | None = None if begin_trace is None else begin_trace(named)

    @property
    def response_complete(self) -> bool:
        return self.over

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

    @classmethod
    def reply_to_all(
        cls, exchanges: Sequence[Self], timings: Timings, head: bytes, contents: Iterable[bytes]
    ) -> None:
        """`reply`, without the calls and lookups that are the same for all."""
        first, began, complete = exchanges[0], perf_counter(), False
        start = first._start_of_response(200, head)
        try:
            for exchange, content in zip(exchanges, contents, strict=True):
                exchange.timings, exchange.over, exchange.cancel_work = timings, True, None
                is_plain = exchange.keep_alive and exchange.trace is None
                more = exchange.connection if is_plain else exchange._more_headers()
                protocol = exchange.protocol
                protocol.transport.write(
                    RESPONSE % (start, exchange.request_id, more, len(content), content)
                )
                protocol.release(exchange, began)
            complete = True
        finally:
            if not complete:
                exchanges = [exchange for exchange in exchanges if exchange.over]
            if exchanges:
                cls._report_all(exchanges, timings)

    @classmethod
    def _report_all(cls, exchanges: Sequence[Self], timings: Timings) -> None:
        now, first = perf_counter(), exchanges[0]
        labels = first.route.labels["200"]
        first.metrics.requests_end(labels, len(exchanges))
        first.route.seconds[timings.version].record_all(
            [now - exchange.began for exchange in exchanges]
        )
        for watch, skips in first.protocol.gateway.watchers:
            if not skips(labels, len(exchanges), now):
                for exchange in exchanges:
                    watch(exchange, labels, now - exchange.began)

    def _send(self, status: int, head: bytes, content: bytes) -> None:
        protocol = self.protocol
        start, more = self._start_of_response(status, head), self._more_headers()
        protocol.transport.write(RESPONSE % (start, self.request_id, more, len(content), content))
        protocol.ended(self, _CODES[status])

    def _start_of_response(self, status: int, head: bytes) -> bytes:
        """Up to its request id."""
        lines = [b"%b: %b\r\n" % pair for pair in self.protocol.server_state.default_headers]
        return b"".join([STATUS_LINES[status], *lines, head, BEFORE_ID])

    def _more_headers(self) -> bytes:
        more = self.connection if self.keep_alive else CLOSE
        if self.trace is not None:
            more += b"traceresponse: %b\r\n" % self.trace.response
        return more

    def _refuse(self, error: Exception) -> None:
        problem = self.problem = record_refusal(error, self.metrics, self.route.endpoint.route)
        if problem.headers.pop("connection", "") == "close":
            self.keep_alive = False  # writes the header
        self._send(
            problem.status, *refusal(problem, self.route.endpoint.route, self.request_id.decode())
        )
        if isinstance(error, QueueFull):
            self.protocol.pause_requests()
            self.protocol.gateway.throttle.add(self.protocol.resume_requests)
