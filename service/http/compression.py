"""Content codings of requests and responses: gzip, and deflate, which is zlib's format.

A body is decompressed to at most as many bytes as a body may have. One that is not exactly one
complete stream is refused. Pages are compressed with Brotli or gzip for clients that prefer it:

    Accept-Encoding --> unchanged, br or gzip     with Vary in all cases

Each is compressed once, by the first request, and kept. The compressed bytes differ from those of
the file, so the entity tag becomes a weak one: it still identifies the file.
"""

import gzip
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal, TypeVar

import brotli
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Problem
from service.http.negotiation import ranges_of
from service.problem_types.content import BAD_COMPRESSION, BODY_TOO_LARGE, UNSUPPORTED_ENCODING

Coding = Literal["gzip", "deflate"]
PageCoding = Literal["br", "gzip"]
PAGE_CODINGS: tuple[PageCoding, ...] = ("br", "gzip")  # the smallest first
Offer = TypeVar("Offer", bound=str)
CONTENT_ENCODING, ACCEPT_ENCODING = b"content-encoding", b"accept-encoding"
# Of zlib: a window of 32 KiB, and 16 more for gzip's head and tail.
WINDOWS: dict[Coding, int] = {"gzip": 31, "deflate": 15}
# The fastest: pixels and floats become hardly smaller with more effort.
LEVEL = 1  # a third of the time of 6, for a fifth more bytes
# Of Brotli. A script of the page takes 5 ms with the best; Swagger UI, 1.5 MB, would take 2.6 s and
# takes 60 ms with the fast one.
BEST, FAST = 11, 5
SMALL = 2**16  # bytes, up to which the best is worth its time
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
    return _preferred(headers, WINDOWS)


def _preferred(headers: Mapping[bytes, bytes], offers: Iterable[Offer]) -> Offer | None:
    """The offer that a client prefers, of equal ones the first; None: uncompressed."""
    if ACCEPT_ENCODING not in headers:
        return None
    weights = {each.name: each.weight for each in ranges_of(headers.get(ACCEPT_ENCODING))}
    weights["gzip"] = weights.get("gzip", weights.get("x-gzip", 0.0))
    # "*" is left out: a client that accepts anything is best served without the work.
    coding, best = None, weights.get("identity", 0.0)
    for offer in offers:
        if weights.get(offer, 0.0) > best:
            coding, best = offer, weights[offer]
    return coding


class CompressedPages:
    """An application of few documents, each of which is compressed once for each coding."""

    def __init__(self, app: ASGIApp, *, documents: int) -> None:
        """`documents`: the number of the most recently requested ones that are kept compressed."""
        self._app = app
        self._packed = lru_cache(documents * len(PAGE_CODINGS))(_packed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        coding = _preferred(headers, PAGE_CODINGS)
        if b"range" in headers:  # a part of a file is a part of its own bytes
            coding = None
        start: Message = {}
        content = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                answer = MutableHeaders(raw=message["headers"])
                answer.add_vary_header("Accept-Encoding")
                if coding is not None and message["status"] == 304:
                    _weaken(answer)
            if coding is None or start["status"] != 200:
                await send(message)
            elif message["type"] == "http.response.body":
                content.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await self._send(start, bytes(content), coding, send)

        await self._app(scope, receive, collect)

    async def _send(self, start: Message, content: bytes, coding: PageCoding, send: Send) -> None:
        packed = await run_in_threadpool(self._packed, content, coding)
        if len(packed) < len(content):
            answer = MutableHeaders(raw=start["headers"])
            _weaken(answer)
            answer["content-encoding"] = coding
            answer["content-length"] = str(len(packed))
            content = packed
        await send(start)
        await send({"type": "http.response.body", "body": content})


def _weaken(answer: MutableHeaders) -> None:
    if not answer.get("etag", "W/").startswith("W/"):
        answer["etag"] = f"W/{answer['etag']}"


def _packed(content: bytes, coding: PageCoding) -> bytes:
    if coding == "gzip":
        return gzip.compress(content, mtime=0)
    packed: bytes = brotli.compress(content, quality=BEST if len(content) <= SMALL else FAST)
    return packed
