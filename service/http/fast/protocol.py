"""The fast path: requests that are answered by the HTTP protocol itself.

    head, body --fast endpoint, plain request?--> FastExchange --> response
               --anything else------------------> AsgiCycle --> Gateway --> response

ASGI takes a scope, a cycle, an event and a task for each request, and sends the response in two
writes; that costs more than decoding, model and JSON together. A plain request to a fast endpoint
(a POST of a body of known size and at most LARGEST bytes, or a GET; nothing unfinished before it on
this connection) needs none of it.
"""

import asyncio
from math import inf
from time import perf_counter
from urllib.parse import unquote
from weakref import ref

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from service.batching.interface import Closed
from service.http.body import BufferFull, too_slow
from service.http.exchange import TIMEOUT, Begin, deadline_of
from service.http.fast.cycle import AsgiCycle
from service.http.fast.fast_exchange import KEEP_ALIVE, FastExchange
from service.http.fast.grammar import CACHED, FEW_LINES, SMALL, Head
from service.http.fast.pipeline import Pipeline
from service.http.fast_routes import FastRoute
from service.http.gateway import Gateway
from service.telemetry.request_record import GONE

SPARE = 64  # connections beyond MAX_CONNECTIONS: for probes, and for the refusal of others
LARGEST = 2**18  # bytes of a body: what uvloop reads at once, and a batch of 256 raw images
# Bytes of a body and of a head that are not worth counting in the budget.
SMALL_BODY, SMALL_HEAD = 4096, 2048
LINE = 256  # bytes that a parsed header takes beside its own

# Seconds in which a body arrives whose request is begun together with others of the same turn: they
# have nearly the same deadline.
TOGETHER = 0.05


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
                if self.is_last:
                    self.close_for_certain()
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
