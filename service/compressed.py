"""Answers that are compressed for a client that prefers them so: of pages, never of predictions.

    Accept-Encoding --accepted--> as it is, or Starlette's gzip     either way Vary says so

What is compressed is another sequence of bytes, so that its entity tag is a weak one: it still says
that the file behind it is the same.
"""

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.v2.compression import accepted

SMALLEST = 500  # bytes, as Starlette has it; less gains nothing
ON_LOOP = 8192  # bytes that the event loop compresses itself; more goes to a thread
LEVEL = 1  # a third of the time of 6, for a fifth more bytes


class Compressed:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._gzip = GZipMiddleware(app, SMALLEST, LEVEL, ON_LOOP)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        compresses = (
            accepted(headers) == "gzip"
            and b"gzip" in headers[b"accept-encoding"]  # in lower case, as Starlette looks for it
            and b"range" not in headers  # a part of a file is a part of its own bytes
            and scope["http_version"] != "1.0"  # of unknown length, it would come in chunks
        )

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(raw=message["headers"])
                if "accept-encoding" not in answer.get("vary", "").lower():
                    answer.add_vary_header("Accept-Encoding")
                is_whole = message["status"] in (200, 304)
                if compresses and is_whole and not answer.get("etag", "W/").startswith("W/"):
                    answer["etag"] = f"W/{answer['etag']}"
            await send(message)

        await (self._gzip if compresses else self._plain)(scope, receive, named)
