"""The outermost ASGI application: picks who answers, and does what is true of every request.

    request --> id, count, time --CORS, access--> the hot routes, by exact path --> Asgi
                                              --> everything else               --> FastAPI

Whoever is not let in here gets nowhere, whichever routes are added behind. Most requests to the hot
routes never come here: `hot` answers them before ASGI. Any exception becomes a problem document
here, in a hot endpoint or in FastAPI's handlers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import Any, NamedTuple

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import OPEN, Access
from service.asgi import Asgi
from service.body import ClientGone
from service.ended import Course, Ended, Watcher
from service.exchange import Endpoint, Exchange
from service.headers import by_name
from service.life import Life
from service.metrics import Metrics
from service.problems import Problem, messages
from service.refusals import CROWDED, told
from service.rest import Rest
from service.room import Room
from service.settings import Settings
from service.trace import Trace
from service.trace_context import TRACEPARENT, TRACESTATE
from service.tracing import Tracing

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A client's own id is kept if it cannot forge a log line.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# An id must be unique, not secret: a random start and a number cost a tenth of random bytes.
_START = token_hex(6).encode()
_NUMBERS = count()
NOSNIFF = (b"x-content-type-options", b"nosniff")  # what a type says is what it is
GONE = "499"  # as nginx says it: nobody was there to be answered
CODES = (*(str(status.value) for status in HTTPStatus), GONE)
# What scripts of other origins may send and see, if their origin is named.
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST"],
    "allow_headers": [
        "Authorization", "Content-Encoding", "Content-Type", "Inference-Header-Content-Length",
        "Traceparent", "Tracestate", "X-API-Key", "X-Request-ID", "X-Request-Timeout",
    ],
    "expose_headers": [
        "Inference-Header-Content-Length", "Retry-After", "Server-Timing", "Traceresponse",
        "X-Batch-Size", "X-Label", "X-Request-ID",
    ],
}  # fmt: skip


class HotRoute(NamedTuple):
    """What `hot` looks up a request by."""

    endpoint: Endpoint
    admit: Callable[[Mapping[bytes, bytes]], None]  # who asks, and what for; or raise
    note_seconds: Callable[[float], None]  # in http_request_duration_seconds
    labels: Mapping[str, tuple[str, str, str]]  # of http_requests_total, by code


class Front:
    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        otherwise: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        life: Life,
        access: Access,
        tracing: Tracing | None = None,
    ) -> None:
        self.hot = {
            endpoint.route.encode(): HotRoute(
                endpoint,
                _both(access.check, endpoint.admit) if access.asks_for_keys else endpoint.admit,
                metrics.request_seconds.labels(endpoint.route).note,
                {code: (endpoint.route, "POST", code) for code in CODES},
            )
            for endpoint in endpoints
        }
        self.settings = settings
        self.metrics = metrics
        self.life = life
        self.rest = Rest()
        self.room = Room(settings.max_buffered)
        self.watchers: list[Watcher] = []  # told of each request that is over
        self.begin_trace = tracing.begin if tracing is not None else None
        if tracing is not None:
            self.watchers.append(tracing.ended)
        self._access = access
        self._otherwise = otherwise
        self._asgi = {
            endpoint.route: Asgi(endpoint, settings, metrics, self.room) for endpoint in endpoints
        }
        self._inside: ASGIApp = self._answer
        if settings.cors_origins:  # before access: a browser asks for leave without any key
            self._inside = CORSMiddleware(self._answer, settings.cors_origins, **CORS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan
            await self._otherwise(scope, receive, send)
            return
        began = perf_counter()
        headers = dict(scope["headers"])
        request_id = scope["request_id"] = request_id_of(headers).decode()
        scope["status"] = scope["exchange"] = scope["problem"] = None
        trace = self._trace_of(scope, headers)

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["status"] = message["status"]
                answers = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    NOSNIFF,
                ]
                if trace is not None:
                    answers.append((b"traceresponse", trace.response))
                # So that this client's next request goes elsewhere, or finds room meanwhile.
                if self.life.draining or "crowded" in scope:
                    answers.append((b"connection", b"close"))
                message["headers"] = answers
            await send(message)

        self.metrics.request_begins()
        try:
            await self._inside(scope, receive, observed)
        except ClientGone:
            pass
        finally:
            labels = self._labels(scope)
            self.metrics.request_ends(labels)
            self.metrics.request_seconds.labels(labels[0]).note(perf_counter() - began)
            if self.watchers:
                exchange: Exchange | None = scope["exchange"]
                course = exchange.course if exchange is not None else None
                problem: Problem | None = scope["problem"]
                self.tell(
                    request_id, labels, began, scope["client"], headers, course, problem, trace
                )

    def tell(
        self,
        request_id: str,
        labels: tuple[str, str, str],
        began: float,
        client: tuple[str, int] | None,
        headers: Mapping[bytes, bytes],
        course: Course | None = None,
        problem: Problem | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Whoever watches, that a request is over; `labels` are those of http_requests_total."""
        route, method, code = labels
        seconds = perf_counter() - began
        ended = Ended(
            request_id, method, route, code, began, seconds, client, headers, course, problem,
            trace,
        )  # fmt: skip
        for watch in self.watchers:
            watch(ended)

    def _trace_of(self, scope: Scope, headers: dict[bytes, bytes]) -> Trace | None:
        if self.begin_trace is None:
            return None
        if TRACEPARENT in headers:  # what came in several lines, the specification settles
            said = scope["headers"]
            parents = [value for name, value in said if name == TRACEPARENT]
            states = [value for name, value in said if name == TRACESTATE]
            parent = parents[0] if len(parents) == 1 else b""
            headers = {**headers, TRACEPARENT: parent, TRACESTATE: b",".join(states)}
        return self.begin_trace(headers, scope.get("http_version", "1.1"))

    async def crowded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same on a connection beyond MAX_CONNECTIONS: only what is open is answered."""
        await self({**scope, "crowded": True}, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._let_in(scope)
            application: ASGIApp = self._asgi.get(scope["path"], self._otherwise)
            await application(scope, receive, send)
        except ClientGone:
            raise
        except Exception as error:  # the last resort: whatever went wrong, the client hears of it
            answered: Problem | None = scope["problem"]
            if answered is not None and answered.status == 500:
                return  # FastAPI raises again what it has answered
            problem = scope["problem"] = told(error, self.metrics)
            if scope["status"] is None:
                for message in messages(problem, scope["path"], scope["request_id"]):
                    await send(message)

    def _let_in(self, scope: Scope) -> None:
        """Problem if this request may not go any further."""
        headers = by_name(scope["headers"])
        if OPEN.fullmatch(scope["path"]):
            return
        if "crowded" in scope:
            self.metrics.shed.note((CROWDED,))
            raise Problem(
                503,
                f"there are more than {self.settings.max_connections} connections "
                "(DIGITSERVE_MAX_CONNECTIONS); try again in 1 s",
                title="Overloaded",
                headers={"retry-after": "1"},
            )
        self._access.check(headers)

    def _labels(self, scope: Scope) -> tuple[str, str, str]:
        """A request's route, never its path: that is the client's, and would make series without
        end; its method and the code of its answer.
        """
        if scope["path"] in self._asgi:
            route = scope["path"]
        else:  # "other" is the files of /docs, and whatever does not exist
            route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        return route, method, str(scope["status"] or GONE)


def _both(
    first: Callable[[Mapping[bytes, bytes]], None], then: Callable[[Mapping[bytes, bytes]], None]
) -> Callable[[Mapping[bytes, bytes]], None]:
    def admit(headers: Mapping[bytes, bytes]) -> None:
        first(headers)
        then(headers)

    return admit


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's own X-Request-ID, if it may be used, or a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and REQUEST_ID.fullmatch(given):
        return given
    return b"%b%08x" % (_START, next(_NUMBERS))
