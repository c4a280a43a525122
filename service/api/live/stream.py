"""GET /v1/live: server-sent events until the client disconnects or the service drains.

    retry: 2000

    data: {"at": ..., "requests_per_second": ..., ...}

    data: ...

It is the last response of its connection. Its slot is taken when it begins and free as soon as the
client has disconnected.
"""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.live.broadcaster import Live
from service.api.live.summary import LiveSummary
from service.api.schemas import refusals
from service.http.fast.connection import Connection
from service.problem_types.http import BAD_PARAMETER
from service.problem_types.operation import LIVE_CLOSED, TOO_MANY_WATCHERS

RETRY = b"retry: 2000\n\n"  # milliseconds until a browser that lost the stream reconnects
HEADERS = {
    "cache-control": "no-store",
    "connection": "close",
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",  # or nginx buffers events until it has some kilobytes of them
}


class EventStream(Response):
    def __init__(self, live: Live, most: int) -> None:
        """`most`: events; 0: it ends with the client or with the service."""
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._live = live
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection | None = scope["connection"]()
        if connection is None:  # the client has hung up already
            return
        with self._live.watching(cut=connection.cut):
            connection.hold_little()
            scope["streams"] = True
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_events(send))
                closing = tasks.create_task(_disconnected(receive))
                await asyncio.wait((sending, closing), return_when=asyncio.FIRST_COMPLETED)
                sending.cancel()
                closing.cancel()
            if sending.cancelled():
                await send({"type": "http.response.body", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        event, sent, begin = self._live.latest, 1, RETRY
        while True:
            goes_on = not event.last and sent != self._most
            body = begin + event.content
            await send({"type": "http.response.body", "body": body, "more_body": goes_on})
            if not goes_on:
                return
            event, sent, begin = await self._live.newer(event), sent + 1, b""


async def _disconnected(receive: Receive) -> None:
    """The client has disconnected, or sends a body: then it is no reader of a stream."""
    more = False
    while not more:
        message = await receive()
        more = message["type"] == "http.disconnect" or message.get("more_body", False)


# In OpenAPI 3.1 the schema of a stream is that of each event, where anybody agrees on anything.
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": f"#/components/schemas/{LiveSummary.__name__}"},
        },
        "retry": {"type": "integer", "description": "milliseconds, in the first"},
    },
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, each as the schema says",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}
_REFUSED = refusals(BAD_PARAMETER, LIVE_CLOSED, TOO_MANY_WATCHERS)


def live_routes(live: Live) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/v1/live",
        summary="Rates, quantiles, batches and queue, twice a second",
        description="A stream without end: an event at once and one each half second, until the "
        "client hangs up or the service stops. With several workers each reports on all.",
        tags=["operation"],
        status_code=200,
        response_class=EventStream,
        responses=_ANSWER | _REFUSED,
    )
    async def watch(
        events: Annotated[int, Query(ge=0, description="end after so many; 0: never")] = 0,
    ) -> EventStream:
        return EventStream(live, events)

    return router
