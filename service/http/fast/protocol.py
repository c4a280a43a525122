"""The fast path: requests that are answered by the HTTP protocol itself.

    head, body --fast endpoint, plain request?--> FastExchange --> response
               --anything else------------------> AsgiCycle --> Gateway --> response

ASGI takes a scope, a cycle, an event and a task for each request, and sends the response in two
writes; that costs more than decoding, model and JSON together. A plain request to a fast endpoint
(a POST of a body of known size and at most LARGEST bytes, or a GET; nothing unfinished before it on
this connection) needs none of it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from math import inf
from time import perf_counter
from typing import Self
from urllib.parse import unquote
from weakref import ref

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from service.batching.interface import Closed, QueueFull
from service.errors import Problem
from service.http.body import BufferFull, too_slow
from service.http.errors import record_refusal, refusal
from service.http.exchange import TIMEOUT, Begin, Exchange, deadline_of
from service.http.fast.cycle import STATUS_LINES, AsgiCycle
from service.http.fast.grammar import CACHED, FEW_LINES, SMALL, Head
from service.http.fast.pipeline import Pipeline
from service.http.fast_routes import FastRoute
from service.http.gateway import Gateway
from service.http.headers import NEW_IDS, request_id_of
from service.telemetry.request_record import GONE, Peer, Timings
from service.telemetry.trace_context import Trace

SPARE = 64  # connections beyond MAX_CONNECTIONS: for probes, and for the refusal of others
LARGEST = 2**18  # bytes of a body: what uvloop reads at once, and a batch of 256 raw pictures
# Bytes of a body and of a head that are not worth counting in the budget.
SMALL_BODY, SMALL_HEAD = 4096, 2048
LINE = 256  # bytes that a parsed header takes beside its own

# Seconds in which a body arrives whose request is begun together with others of the same turn: they
# have nearly the same deadline.
TOGETHER = 0.05

# Header lines: of a connection that ends with this answer, and of one of HTTP/1.0 that does not.
CLOSE, KEEP_ALIVE = b"connection: close\r\n", b"connection: keep-alive\r\n"
BEFORE_ID = b"x-content-type-options: nosniff\r\nx-request-id: "
RESPONSE = b"%b%b\r\n%bcontent-length: %d\r\n\r\n%b"
_CODES = {status: str(status) for status in STATUS_LINES}


class FastExchange(Exchange):
    """A plain request; to the connection, it is what an AsgiCycle is."""

    __slots__ = (
        "connection", "keep_alive", "problem", "protocol", "request_id", "route", "trace",
    )  # fmt: skip
    more_body = False

    def __init__(
        self, protocol: "FastProtocol", route: FastRoute, head: Head, body: bytes, began: float
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


class FastProtocol(Pipeline):
    """One connection."""

    __slots__ = (
        "__weakref__", "_application", "_arriving", "_began", "_heeds_origins", "_largest",
        "_parts", "_routes", "_too_late", "head", "head_size", "timeout",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, server_state: ServerState) -> None:
        super().__init__(gateway, server_state)
        settings = gateway.settings
        self._routes = gateway.fast_routes
        self._application: ASGIApp = gateway
        self._heeds_origins = bool(settings.cors_origins)
        self._largest = min(LARGEST, settings.max_body)
        self.timeout = settings.request_timeout
        self.head: Head | None = None  # of the latest request
        self.head_size = 0  # bytes
        self._began = 0.0  # when that head was complete
        self._arriving: FastRoute | None = None  # the one of a fast request that is not complete
        self._parts: list[bytes] = []  # of its body
        # The timer of a body that came in pieces.
        self._too_late: asyncio.TimerHandle | None = None

    # ---- requests -----------------------------------------------------------------------------

    def begin_known(self, head: Head, route: FastRoute, begin: Begin, body: bytes) -> None:
        self.head = head
        self.closes_at = inf
        self.gateway.metrics.request_begins()
        exchange = FastExchange(self, route, head, body, perf_counter())
        self.cycle = exchange  # so that a pipelined request waits
        try:
            if len(body) > SMALL_BODY:  # it may wait to be decoded
                self.held.resize(len(body))
            begin(exchange)
        except Exception as error:  # becomes a problem
            exchange.fail(error)

    def begin(self, head: Head, size: int, body: bytes | None) -> None:
        self._began = perf_counter()
        self.head, self.head_size = head, size
        self.head_has_begun = False
        self.closes_at = inf
        if size > SMALL_HEAD or len(head.fields) > FEW_LINES:
            try:
                self.held.resize(self._memory_of_head())
            except BufferFull as full:
                self.refuse(full)
                return
        route = self._routes.get(head.path) if head.is_plain else None
        if route is not None and (head.suits is route or self._is_suitable(route, head)):
            self.gateway.metrics.request_begins()
            if body is None:
                self._arriving, self._parts = route, []
            else:
                self._answer(route, head, body)
            return
        self._begin_asgi(head)
        if body is not None:
            if body:
                self.feed(body)
            self.feed_end()

    def feed(self, part: bytes) -> None:
        if self._arriving is not None:
            self._parts.append(part)
        else:
            self.cycle.feed(part)

    def feed_end(self) -> None:
        route, head = self._arriving, self.head
        if route is None or head is None:
            self.cycle.feed_end()
            if self.cycle.response_complete:
                self.release_request()
            return
        self._arriving = None
        if self._too_late is not None:
            self._wait_no_more(self._too_late)
        parts, self._parts = self._parts, []
        self._answer(route, head, parts[0] if len(parts) == 1 else b"".join(parts))

    def _is_suitable(self, route: FastRoute, head: Head) -> bool:
        if (
            head.method == route.method
            and head.length <= self._largest
            and (b"content-length" in head.named or route.method == b"GET")
            and not (self._heeds_origins and b"origin" in head.named)
        ):
            head.suits = route
            return True
        return False

    def _answer(self, route: FastRoute, head: Head, body: bytes) -> None:
        headers = head.named
        exchange = FastExchange(self, route, head, body, self._began)
        if not head.is_1_1:
            exchange.connection = KEEP_ALIVE
        self.cycle = exchange
        try:
            if len(body) > SMALL_BODY:
                self.held.resize(self._memory_of_head() + len(body))
            route.admit(headers)
            begin = route.endpoint.begin_of(headers, head.query)
            if TIMEOUT in headers and head.method == b"POST":  # a GET has no deadline
                exchange.deadline = deadline_of(headers, self._began, self.timeout)
            elif head.is_1_1 and self.head_size <= SMALL and len(head.fields) <= FEW_LINES:
                self._remember(head, route, begin)
            if perf_counter() - self._began > TOGETHER:
                begin = route.endpoint.begin
            begin(exchange)
        except Exception as error:
            exchange.fail(error)

    def _remember(self, head: Head, route: FastRoute, begin: Begin) -> None:
        known = self.known_heads
        if len(known) >= CACHED:
            known.clear()
        known[head.content] = head, route, begin
        if not self._routes:  # the service drains: the fast path is left
            known.clear()

    def _begin_asgi(self, head: Head) -> None:
        path = head.path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1" if head.is_1_1 else "1.0",
            "method": head.method.decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": "",
            "headers": list(head.fields),
            "client": self.client,
            "server": self.server,
            "state": {},
            "connection": ref(self),  # weak, for the scope is its own
            "keeps": head.keep_alive and not head.is_1_1,
        }
        self.cycle = cycle = AsgiCycle(
            self,
            scope,
            self.server_state.default_headers,
            keep_alive=head.keep_alive,
            expects_continue=head.named.get(b"expect", b"").lower() == b"100-continue",
        )
        task = self.loop.create_task(cycle.run(self._application))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    # ---- callbacks of the transport -----------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connections, gateway = self.server_state.connections, self.gateway
        beyond = len(connections) - gateway.settings.max_connections
        if beyond > 0:
            beyond -= gateway.idle.close_some(connections)
        if beyond > SPARE:
            transport.abort()
        elif beyond > 0:
            self._application, self._routes, self.known_heads = gateway.over_capacity, {}, {}

    def body_goes_on(self) -> None:
        """Of a fast request: check now what can be refused, and set a time limit."""
        route, head = self._arriving, self.head
        if route is None or head is None or self._too_late is not None:
            return
        try:
            deadline = deadline_of(head.named, self._began, self.timeout)
            route.admit(head.named)
            self.held.resize(self._memory_of_head() + head.length)
        except Exception:  # ASGI reports it, and reads on
            self._hand_over(head)
        else:
            left = deadline - perf_counter()
            self._too_late = self.loop.call_later(left, self._give_up_on_body, route, head, left)

    def _give_up_on_body(self, route: FastRoute, head: Head, seconds: float) -> None:
        self.cycle = exchange = self._without_body(route, head)
        exchange.fail(too_slow(seconds))

    def _without_body(self, route: FastRoute, head: Head) -> FastExchange:
        """A request whose body is not awaited any longer."""
        self._stop_arriving()
        return FastExchange(self, route, head, b"", self._began)

    def _hand_over(self, head: Head) -> None:
        """Pass a request to ASGI of which a part has arrived."""
        parts = self._parts
        self._stop_arriving()
        # ASGI reserves the memory of what it reads of the body.
        self.held.resize(self._memory_of_head())
        self.gateway.metrics.request_moves()
        self._begin_asgi(head)
        for part in parts:
            self.cycle.feed(part)

    def _stop_arriving(self) -> None:
        self._arriving, self._parts = None, []
        if self._too_late is not None:
            self._wait_no_more(self._too_late)

    def _wait_no_more(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._too_late = None

    def connection_lost(self, exc: Exception | None) -> None:
        route, head = self._arriving, self.head
        if route is not None and head is not None:
            self.gateway.metrics.cancelled.record(("body",))
            exchange = self._without_body(route, head)
            self._report(exchange, GONE, perf_counter())
        if isinstance(self.cycle, FastExchange):
            exchange = self.cycle
            exchange.hang_up()
            self.ended(exchange, GONE)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: what has begun to arrive is still answered."""
        if self._arriving is not None and self.head is not None:
            self._hand_over(self.head)
        super().shutdown()

    def refuse_open_request(self) -> None:
        """The server ends now: answer 503 to a fast request that has begun to arrive or waits."""
        route, head = self._arriving, self.head
        if route is not None and head is not None:
            self.cycle = self._without_body(route, head)
        if isinstance(self.cycle, FastExchange):
            self.cycle.keep_alive = False
            self.cycle.fail(Closed())

    def ended(self, exchange: FastExchange, code: str) -> None:
        """Its last byte is written, or its client is gone."""
        now = perf_counter()
        self._report(exchange, code, now)
        self.release(exchange, now)

    def release(self, exchange: FastExchange, now: float) -> None:
        """Its response is complete: the connection holds no image while it is idle."""
        self.cycle = None
        if self.held.size:
            self.held.release()
        if exchange.keep_alive:
            self.has_answered = True
            self.closes_at = closes_at = now + self.keep_alive
            if self.rings_at <= closes_at:  # else the timer must be set, by `response_complete`
                if self.behind:
                    self.go_on_soon()
                return
        else:
            self.transport.close()
        self.response_complete()

    def _report(self, exchange: FastExchange, code: str, now: float) -> None:
        route, timings = exchange.route, exchange.timings
        seconds, labels = now - exchange.began, route.labels[code]
        exchange.metrics.request_ends(labels)
        version = None if timings is None else timings.version
        route.seconds[version].record(seconds)
        self.gateway.report(exchange, labels, seconds)

    def pause_requests(self) -> None:
        self.is_throttled = True
        if not self.transport.is_closing():
            self.pause_reading()

    def resume_requests(self) -> None:
        self.is_throttled = False
        if not self.transport.is_closing():
            self.resume_reading()
            self.go_on_soon()

    def release_request(self) -> None:
        super().release_request()
        self.head = None

    # ---- memory -------------------------------------------------------------------------------

    def _memory_of_head(self) -> int:
        head, size = self.head, self.head_size
        if head is not None and (size > SMALL_HEAD or len(head.fields) > FEW_LINES):
            return size + LINE * len(head.fields)
        return 0
