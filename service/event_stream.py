"""The answer of GET /v1/live: events, as long as the client reads them (text/event-stream).

    retry: 2000

    data: {"at": ..., "requests_per_second": ..., ...}

    data: ...

It is the last answer on its connection. A place is taken when it begins and is free as soon as the
client has hung up.
"""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.keep_alive import KeepAlive
from service.live import Live

RETRY = b"retry: 2000\n\n"  # milliseconds until a browser that lost the stream asks for it again
HEADERS = {
    "cache-control": "no-store",
    "connection": "close",
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",  # nginx would hold events back until it has some kilobytes of them
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
        connection: KeepAlive | None = scope["connection"]()
        if connection is None:  # the client has hung up already
            return
        with self._live.watching(cut=connection.cut):
            connection.hold_little()
            scope["streams"] = True
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async with asyncio.TaskGroup() as both:
                telling = both.create_task(self._tell(send))
                listening = both.create_task(_gone(receive))
                await asyncio.wait((telling, listening), return_when=asyncio.FIRST_COMPLETED)
                telling.cancel()
                listening.cancel()
            if telling.cancelled():
                await send({"type": "http.response.body", "more_body": False})

    async def _tell(self, send: Send) -> None:
        event, sent, begin = self._live.latest, 1, RETRY
        while True:
            goes_on = not event.last and sent != self._most
            body = begin + event.content
            await send({"type": "http.response.body", "body": body, "more_body": goes_on})
            if not goes_on:
                return
            event, sent, begin = await self._live.newer(event), sent + 1, b""


async def _gone(receive: Receive) -> None:
    """The client has hung up, or sends more than a head: it has not come to read."""
    more = False
    while not more:
        message = await receive()
        more = message["type"] == "http.disconnect" or message.get("more_body", False)
