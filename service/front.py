"""The outermost ASGI application: picks who answers, and does what is true of every request.

    request --> id, count, time --CORS, access--> the hot routes, by exact path --> Asgi
                                              --> everything else               --> FastAPI

Whoever is not let in here gets nowhere, whichever routes are added behind. Most requests to the hot
routes never come here: `hot` answers them before ASGI. Any exception becomes a problem document
here, in a hot endpoint or in FastAPI's handlers.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import OPEN, Access
from service.asgi import Asgi
from service.body import ClientGone
from service.cors import open_to
from service.ended import GONE, Ended, Labels, Record, Watcher
from service.exchange import Endpoint, Exchange
from service.headers import by_name
from service.hot_table import hot_table
from service.life import Life
from service.metrics import Metrics
from service.problems import Problem, messages
from service.refusals import CROWDED, told
from service.request_id import request_id_of
from service.rest import Rest
from service.room import Room
from service.scrape import Scrape
from service.settings import Settings
from service.trace import Trace
from service.trace_context import settled
from service.tracing import Tracing

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOSNIFF = (b"x-content-type-options", b"nosniff")  # what a type says is what it is


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
        # A scrape that is not plain is FastAPI's: no `Asgi` of its own below.
        self.hot = hot_table((*endpoints, Scrape(metrics)), access, metrics)
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
        # Before access: a browser asks for leave without any key.
        self._inside = open_to(settings.cors_origins, self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan
            await self._otherwise(scope, receive, send)
            return
        began = perf_counter()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        trace = self._trace_of(scope, headers)
        asked = Record(request_id, began, scope["client"], headers, trace=trace)
        scope["request_id"] = request_id.decode()
        scope["status"] = scope["exchange"] = scope["problem"] = None
        scope["streams"] = scope["over"] = False

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["status"] = message["status"]
                ours = self._headers_of_answer(scope, request_id, trace)
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)
            if scope["streams"] and message["type"] == "http.response.body":
                self._end(scope, asked)

        self.metrics.request_begins()
        try:
            await self._inside(scope, receive, observed)
        except ClientGone:
            pass
        finally:
            self._end(scope, asked)

    def tell(self, ended: Ended, labels: Labels, seconds: float) -> None:
        """Whoever watches, that a request is over."""
        for watch in self.watchers:
            watch(ended, labels, seconds)

    def _end(self, scope: Scope, asked: Record) -> None:
        """Count, time and tell a request, once. A stream is over with its first event: how long
        somebody watches is no latency, and nothing is being worked on meanwhile.
        """
        if scope["over"]:
            return
        scope["over"] = True
        seconds = perf_counter() - asked.began
        labels = self._labels(scope)
        self.metrics.request_ends(labels)
        self.metrics.request_seconds.labels(labels[0]).note(seconds)
        exchange: Exchange | None = scope["exchange"]
        course = exchange.course if exchange is not None else None
        self.tell(asked._replace(course=course, problem=scope["problem"]), labels, seconds)

    def _headers_of_answer(
        self, scope: Scope, request_id: bytes, trace: Trace | None
    ) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request_id), NOSNIFF]
        if trace is not None:
            headers.append((b"traceresponse", trace.response))
        # So that this client's next request goes elsewhere, or finds room meanwhile.
        if self.life.draining or "crowded" in scope:
            headers.append((b"connection", b"close"))
        return headers

    def _trace_of(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Trace | None:
        if self.begin_trace is None:
            return None
        said = settled(headers, scope["headers"])
        return self.begin_trace(said, scope.get("http_version", "1.1"))

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

    def _labels(self, scope: Scope) -> Labels:
        """A request's route, never its path: that is the client's, and would make series without
        end; its method and the code of its answer.
        """
        if scope["path"] in self._asgi:
            route = scope["path"]
        else:  # "other" is the files of /docs, and whatever does not exist
            route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        return route, method, str(scope["status"] or GONE)
