"""The outermost ASGI application: picks who answers, and does what is true of every request.

    request --> id, count, time --> the hot routes, by exact path --> Asgi
                                --> everything else               --> FastAPI

Most requests to the hot routes never come here: `hot` answers them before ASGI. A hot endpoint says
how it refuses; any other exception becomes a problem document here, or in FastAPI's handlers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.asgi import Asgi
from service.body import ClientGone
from service.exchange import Endpoint
from service.life import Life
from service.metrics import Metrics
from service.problems import logged_problem, messages
from service.rest import Rest
from service.settings import Settings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A client's own id is kept if it cannot forge a log line.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# An id must be unique, not secret: a random start and a number cost a tenth of random bytes.
_START = token_hex(6).encode()
_NUMBERS = count()
GONE = "499"  # as nginx says it: nobody was there to be answered
CODES = (*(str(status.value) for status in HTTPStatus), GONE)


class HotRoute(NamedTuple):
    """What `hot` looks up a request by."""

    endpoint: Endpoint
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
    ) -> None:
        self.hot = {
            endpoint.route.encode(): HotRoute(
                endpoint,
                metrics.request_seconds.labels(endpoint.route).note,
                {code: (endpoint.route, "POST", code) for code in CODES},
            )
            for endpoint in endpoints
        }
        self.settings = settings
        self.metrics = metrics
        self.life = life
        self.rest = Rest()
        self._otherwise = otherwise
        self._asgi = {endpoint.route: Asgi(endpoint, settings, metrics) for endpoint in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan
            await self._otherwise(scope, receive, send)
            return
        began = perf_counter()
        request_id = scope["request_id"] = request_id_of(dict(scope["headers"])).decode()
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if self.life.draining:  # so that this client's next request goes elsewhere
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        application: ASGIApp = self._asgi.get(scope["path"], self._otherwise)
        self.metrics.request_begins()
        try:
            await application(scope, receive, observed)
        except ClientGone:
            pass
        except Exception as error:  # the last resort: whatever went wrong, the client hears of it
            problem = logged_problem(error, request_id)
            if status == 0:
                for message in messages(problem, scope["path"], request_id):
                    await observed(message)
        finally:
            self._count(scope, str(status or GONE), perf_counter() - began)

    def _count(self, scope: Scope, code: str, seconds: float) -> None:
        """By route, never by path: paths are the client's, and would make series without end."""
        if scope["path"] in self._asgi:
            route = scope["path"]
        else:  # "other" is the files of /docs, and whatever does not exist
            route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.request_ends((route, method, code))
        self.metrics.request_seconds.labels(route).note(seconds)


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's own X-Request-ID, if it may be used, or a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and REQUEST_ID.fullmatch(given):
        return given
    return b"%b%08x" % (_START, next(_NUMBERS))
