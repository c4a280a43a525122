"""The outermost ASGI application: picks who answers, and does what is true of every request.

    request --> id, count, time --> the hot routes, by exact path --> plain ASGI endpoints
                                --> everything else               --> FastAPI

An exception from either becomes a problem document here and nowhere else.
"""

import logging
import re
from collections.abc import Mapping
from secrets import token_hex
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.body import ClientGone
from service.life import Life
from service.metrics import Metrics
from service.problems import messages, problem_of

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A client's own id is kept if it cannot forge a log line.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

log = logging.getLogger("service")


class Front:
    def __init__(
        self, hot: Mapping[str, ASGIApp], otherwise: ASGIApp, metrics: Metrics, life: Life
    ) -> None:
        self._hot = hot
        self._otherwise = otherwise
        self._metrics = metrics
        self._life = life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan
            await self._otherwise(scope, receive, send)
            return
        began = perf_counter()
        request_id = scope["request_id"] = _request_id(scope)
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if self._life.draining:  # so that this client's next request goes elsewhere
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        application = self._hot.get(scope["path"], self._otherwise)
        self._metrics.inflight.inc()
        try:
            await application(scope, receive, observed)
        except ClientGone:
            pass
        except Exception as error:  # the last resort: whatever went wrong, the client hears of it
            problem = problem_of(error)
            if problem.status == 500:
                log.error("request %s failed", request_id, exc_info=error)
            if status == 0:
                for message in messages(problem, request_id):
                    await observed(message)
        finally:
            self._metrics.inflight.dec()
            # 499, as nginx says it: nobody was there to be answered.
            self._count(scope, status or 499, perf_counter() - began)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        """By route, never by path: paths are the client's, and would make series without end."""
        if scope["path"] in self._hot:
            route = scope["path"]
        else:  # "other" is the files of /docs, and whatever does not exist
            route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            given: str = value.decode()
            return given
    return token_hex(8)
