"""The outermost ASGI application: it selects the endpoint and does what is common to all requests.

    request --> id, count, time --CORS, access--> fast endpoints, by exact path --> AsgiEndpoint
                                              --> everything else               --> FastAPI

Access is checked here, so no route that is added behind can be reached without it. Most requests to
fast endpoints are answered by `fast.protocol` and never come here. Any exception becomes a problem
document here, in a fast endpoint or in FastAPI's handlers.

A proxy that publishes the service under DIGITSERVE_ROOT_PATH removes that prefix from paths. It is
not removed here as well: a path with the prefix twice would bypass the proxy's own rules.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.batching.interface import Closed
from service.errors import Problem
from service.http.asgi import AsgiEndpoint
from service.http.auth import OPEN, Access
from service.http.body import BufferBudget
from service.http.errors import messages, record_refusal
from service.http.exchange import Begin, Endpoint, Exchange
from service.http.fast_routes import FastRoute, fast_routes_of
from service.http.forwarded import TrustedProxies
from service.http.headers import by_name, request_id_of
from service.http.methods import KNOWN, Methods, empty_answer
from service.http.scheduling import IdleConnections, RefusalThrottle, Turns
from service.lifecycle import Life
from service.problem_types.http import METHOD_NOT_IMPLEMENTED, NO_SUCH_ROUTE, TOO_MANY_CONNECTIONS
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import (
    GONE,
    Labels,
    RequestEvent,
    RequestRecord,
    Skips,
    Watcher,
    never,
)
from service.telemetry.trace_context import Trace, merge_trace_headers
from service.telemetry.tracing import RequestTracing

NOSNIFF = (b"x-content-type-options", b"nosniff")  # browsers believe the media type
CORS_METHODS = ["GET", "POST"]
CORS_REQUEST_HEADERS = [
    "Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key",
    "Inference-Header-Content-Length", "Last-Event-ID", "Traceparent", "Tracestate", "X-API-Key",
    "X-Request-ID", "X-Request-Timeout",
]  # fmt: skip
CORS_RESPONSE_HEADERS = [
    "Inference-Header-Content-Length", "Location", "Retry-After", "Server-Timing", "Traceresponse",
    "X-Batch-Size", "X-Label", "X-Request-ID",
]  # fmt: skip


class Gateway:
    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        otherwise: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        life: Life,
        access: Access,
        methods: Methods,
        tracing: RequestTracing | None = None,
        *,
        fast_only: Sequence[Endpoint] = (),
    ) -> None:
        """`fast_only`: endpoints whose requests `otherwise` serves where the fast path does not."""
        self.fast_routes = fast_routes_of((*endpoints, *fast_only), access, metrics)
        # Heads of requests that the fast path has begun with and may begin with again: parsed, with
        # their route and what begins its requests.
        self.known_heads: dict[bytes, tuple[Any, FastRoute, Begin]] = {}
        self.proxies = TrustedProxies(settings.trusted_proxies)
        self.settings = settings
        self.metrics = metrics
        self.life = life
        self.throttle = RefusalThrottle()
        self.idle = IdleConnections()
        self.turns = Turns()
        self.budget = BufferBudget(settings.max_buffered)
        self.watchers: list[tuple[Watcher, Skips]] = []  # called with each request that is over
        self.begin_trace = tracing.begin if tracing is not None else None
        if tracing is not None:
            self.watch(tracing.ended)
        self._access = access
        self._methods = methods
        self._prefix = settings.root_path
        self._otherwise = otherwise
        self._asgi = {
            endpoint.route: AsgiEndpoint(endpoint, settings, metrics, self.budget)
            for endpoint in endpoints
        }
        # Before access: preflight requests of browsers carry no key.
        self._inside = _open_to(settings.cors_origins, self._answer)

    def leave_fast_path(self) -> None:
        """Answer through ASGI alone, from the next request on."""
        self.fast_routes.clear()
        self.known_heads.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan
            await self._otherwise(scope, receive, send)
            return
        began = perf_counter()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        trace = self._trace_of(scope, headers)
        scope = self._inner(scope, request_id)
        record = RequestRecord(
            request_id, began, scope["client"], headers, scope["scheme"], trace=trace
        )
        head_alone = scope["client_method"] == "HEAD"

        async def observed(message: Message) -> None:
            starts = message["type"] == "http.response.start"
            if starts:
                scope["status"] = message["status"]
                given = message.get("headers", ())
                added = self._headers_of_answer(scope, request_id, trace)
                if any(name == b"connection" for name, _ in given):
                    added = [each for each in added if each[0] != b"connection"]
                message["headers"] = [*given, *added]
            if starts or not head_alone:
                await send(message)
            if starts and head_alone:  # now, for a stream would have no end
                await send({"type": "http.response.body"})
            if scope["streams"] and not starts:
                self._end(scope, record)

        self.metrics.request_begins()
        try:
            await self._inside(scope, receive, observed)
        finally:
            self._end(scope, record)

    def watch(self, watcher: Watcher, skips: Skips = never) -> None:
        """Call `watcher` with each request that is over."""
        self.watchers.append((watcher, skips))

    def report(self, ended: RequestEvent, labels: Labels, seconds: float) -> None:
        """Report a request that is over to all watchers."""
        for watch, _ in self.watchers:
            watch(ended, labels, seconds)

    def _end(self, scope: Scope, record: RequestRecord) -> None:
        """Count, time and report a request, once. A stream is over with its first event: how long a
        client watches it is no latency.
        """
        if scope["over"]:
            return
        scope["over"] = True
        seconds = perf_counter() - record.began
        labels = self._labels(scope)
        self.metrics.request_ends(labels)
        exchange: Exchange | None = scope["exchange"]
        timings = exchange.timings if exchange is not None else None
        version = timings.version if timings is not None else None
        self.metrics.seconds_of(labels[0])[version].record(seconds)
        self.report(record._replace(timings=timings, problem=scope["problem"]), labels, seconds)

    def _inner(self, scope: Scope, request_id: bytes) -> dict[str, Any]:
        """The scope for everything below. A copy: the server's own stays unchanged."""
        method = scope["method"]
        peer, headers = scope["client"], scope["headers"]
        return {
            **scope,
            "client": self.proxies.client_of(peer, headers) if self.proxies else peer,
            "client_method": method,
            "exchange": None,
            "method": "GET" if method == "HEAD" else method,
            "over": False,
            "problem": None,
            "request_id": request_id.decode(),
            "scheme": self.proxies.scheme_of(peer, headers) if self.proxies else scope["scheme"],
            "status": None,
            "streams": False,
        }

    def _headers_of_answer(
        self,
        scope: Scope,
        request_id: bytes,
        trace: Trace | None,
    ) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request_id), NOSNIFF]
        if trace is not None:
            headers.append((b"traceresponse", trace.response))
        # So that the next request of this client goes to another replica, or later.
        if self.life.draining or "over_capacity" in scope:
            headers.append((b"connection", b"close"))
        elif scope.get("keeps"):  # of HTTP/1.0, which needs the header
            headers.append((b"connection", b"keep-alive"))
        return headers

    def _trace_of(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Trace | None:
        if self.begin_trace is None:
            return None
        merged = merge_trace_headers(headers, scope["headers"])
        return self.begin_trace(merged, scope.get("http_version", "1.1"))

    async def over_capacity(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same on a connection beyond MAX_CONNECTIONS: only open paths are answered."""
        await self({**scope, "over_capacity": True}, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self._prefix and scope["path"].startswith(f"{self._prefix}/"):
                self._check_prefix(scope["path"])
            self._check_access(scope)
            ends_in_slash = scope["path"].endswith("/")
            location = self._methods.without_slash(scope) if ends_in_slash else None
            if location is not None:
                for message in empty_answer(308, "location", location):
                    await send(message)
                return
            if scope["method"] == "OPTIONS":
                for message in empty_answer(204, "allow", self._allowed(scope)):
                    await send(message)
                return
            if scope["method"] not in KNOWN:
                raise Problem(
                    METHOD_NOT_IMPLEMENTED, f"the method {scope['method'][:20]} is not implemented"
                )
            application: ASGIApp = self._asgi.get(scope["path"], self._otherwise)
            await application(scope, receive, send)
        except asyncio.CancelledError:  # by `server`, after its last wait
            if not self.life.draining:
                raise
            await self._refuse(Closed(), scope, send)
        except Exception as error:  # the last resort: every failure gets a response
            answered: Problem | None = scope["problem"]
            if answered is not None and answered.status == 500:
                return  # FastAPI re-raises what it has answered
            await self._refuse(error, scope, send)

    async def _refuse(self, error: Exception, scope: Scope, send: Send) -> None:
        problem = scope["problem"] = record_refusal(error, self.metrics)
        if scope["status"] is None:
            for message in messages(problem, scope["path"], scope["request_id"]):
                await send(message)

    def _allowed(self, scope: Scope) -> str:
        allowed = self._methods.allowed(scope["path"])
        if not allowed:
            raise HTTPException(404)
        return allowed

    def _check_prefix(self, path: str) -> None:
        """Problem 404 unless there is a route that begins like the prefix."""
        if not self._methods.allowed(path):
            raise Problem(
                NO_SUCH_ROUTE,
                f"there is no such route: the proxy must remove {self._prefix} "
                "(DIGITSERVE_ROOT_PATH) from paths",
            )

    def _check_access(self, scope: Scope) -> None:
        """Raises Problem if this request must not reach its route."""
        headers = by_name(scope["headers"])
        if OPEN.fullmatch(scope["path"].removesuffix("/") or "/"):  # or a redirect to it
            return
        if "over_capacity" in scope:
            raise Problem(
                TOO_MANY_CONNECTIONS,
                f"there are more than {self.settings.max_connections} connections "
                "(DIGITSERVE_MAX_CONNECTIONS); try again in 1 s",
            )
        self._access.check(headers)

    def _labels(self, scope: Scope) -> Labels:
        """A request's route, never its path: that is the client's, and would make series without
        end; its method and the code of its answer.
        """
        if scope["path"] in self._asgi:
            route = scope["path"]
        else:  # "other" is the files of /docs, and whatever does not exist
            route = getattr(scope.get("route"), "path", "other")
        method = scope["client_method"] if scope["client_method"] in KNOWN else "other"
        return route, method, str(scope["status"] or GONE)


def _open_to(origins: Sequence[str], application: ASGIApp) -> ASGIApp:
    """The application, for pages of these origins too; unchanged if there are none."""
    if not origins:
        return application
    return CORSMiddleware(
        application,
        origins,
        allow_methods=CORS_METHODS,
        allow_headers=CORS_REQUEST_HEADERS,
        expose_headers=CORS_RESPONSE_HEADERS,
    )
