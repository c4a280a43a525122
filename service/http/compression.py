"""Content codings of requests and responses: gzip, and deflate, which is zlib's format.

A body is decompressed to at most as many bytes as a body may have. One that is not exactly one
complete stream is refused. Pages are compressed for clients that prefer it:

    Accept-Encoding --accepted--> unchanged, or Starlette's gzip     with Vary in both cases

The compressed bytes differ from those of the file, so the entity tag becomes a weak one: it still
identifies the file.
"""

import zlib
from collections.abc import Mapping
from typing import Literal

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Problem
from service.http.negotiation import ranges_of
from service.problem_types.content import BAD_COMPRESSION, BODY_TOO_LARGE, UNSUPPORTED_ENCODING

Coding = Literal["gzip", "deflate"]
CONTENT_ENCODING, ACCEPT_ENCODING = b"content-encoding", b"accept-encoding"
# Of zlib: a window of 32 KiB, and 16 more for gzip's head and tail.
WINDOWS: dict[Coding, int] = {"gzip": 31, "deflate": 15}
# The fastest: pixels and floats become hardly smaller with more effort.
LEVEL = 1  # a third of the time of 6, for a fifth more bytes
_CODINGS: dict[bytes, Coding | None] = {
    b"": None, b"identity": None, b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate",
}  # fmt: skip


def coding_of(headers: Mapping[bytes, bytes]) -> Coding | None:
    """The coding of a request's body; raises Problem 415 if it is unknown."""
    given = headers.get(CONTENT_ENCODING)
    if given is None:
        return None
    name = given.strip().lower()
    if name not in _CODINGS:
        raise Problem(
            UNSUPPORTED_ENCODING,
            f"Content-Encoding is {given[:40].decode('latin-1')}; gzip and deflate are understood",
            headers={"accept-encoding": "gzip, deflate"},
        )
    return _CODINGS[name]


def decompressed(body: bytes, coding: Coding, limit: int) -> bytes:
    """Raises Problem 413 if that is more than `limit` bytes, 400 if it is incomplete."""
    stream = zlib.decompressobj(WINDOWS[coding])
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem(BAD_COMPRESSION, f"the body is not {coding}: {error}") from error
    if len(content) > limit:
        raise Problem(
            BODY_TOO_LARGE,
            f"the body is larger than {limit:,} bytes when decompressed (DIGITSERVE_MAX_BODY)",
        )
    if not stream.eof:
        raise Problem(BAD_COMPRESSION, f"the body ends before its {coding} stream does")
    if stream.unused_data:
        raise Problem(
            BAD_COMPRESSION, f"{len(stream.unused_data)} bytes follow the body's {coding} stream"
        )
    return content


def compressed(content: bytes, coding: Coding) -> bytes:
    stream = zlib.compressobj(LEVEL, wbits=WINDOWS[coding])
    return stream.compress(content) + stream.flush()


def accepted(headers: Mapping[bytes, bytes]) -> Coding | None:
    """The coding of a response that a client prefers; None: uncompressed."""
    if ACCEPT_ENCODING not in headers:
        return None
    weights = {each.name: each.weight for each in ranges_of(headers.get(ACCEPT_ENCODING))}
    weights["gzip"] = weights.get("gzip", weights.get("x-gzip", 0.0))
    # "*" is left out: a client that accepts anything is best served without the work.
    coding, best = None, weights.get("identity", 0.0)
    for other in WINDOWS:
        if weights.get(other, 0.0) > best:
            coding, best = other, weights[other]
    return coding


SMALLEST = 500  # bytes, as Starlette has it; less gains nothing
ON_LOOP = 8192  # bytes that the event loop compresses itself; more goes to a thread


def compressed_pages(app: ASGIApp) -> ASGIApp:
    """The same application, whose responses are compressed for clients that prefer it."""
    gzip = GZipMiddleware(app, SMALLEST, LEVEL, ON_LOOP)

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
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

        await (gzip if compresses else app)(scope, receive, named)

    return respond
