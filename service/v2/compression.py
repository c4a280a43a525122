"""Content codings of requests and answers: gzip, and deflate, which is zlib's format.

A body is decompressed into at most as many bytes as a body may have, whatever it would become; what
is not one whole stream, and nothing behind it, is refused.
"""

import zlib
from collections.abc import Mapping
from typing import Literal

from service.errors import Problem
from service.negotiation import ranges_of
from service.problem_types.content import BAD_COMPRESSION, BODY_TOO_LARGE, UNSUPPORTED_ENCODING

Coding = Literal["gzip", "deflate"]
CONTENT_ENCODING, ACCEPT_ENCODING = b"content-encoding", b"accept-encoding"
# Of zlib: a window of 32 KiB, and 16 more for gzip's head and tail.
WINDOWS: dict[Coding, int] = {"gzip": 31, "deflate": 15}
# The fastest: pixels and floats become hardly smaller with more effort.
LEVEL = 1
_SENT: dict[bytes, Coding | None] = {
    b"": None, b"identity": None, b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate",
}  # fmt: skip


def coding_of(headers: Mapping[bytes, bytes]) -> Coding | None:
    """How a request's body is compressed; Problem 415 if it is in a way not known here."""
    given = headers.get(CONTENT_ENCODING)
    if given is None:
        return None
    name = given.strip().lower()
    if name not in _SENT:
        raise Problem(
            UNSUPPORTED_ENCODING,
            f"Content-Encoding is {given[:40].decode('latin-1')}; gzip and deflate are understood",
            headers={"accept-encoding": "gzip, deflate"},
        )
    return _SENT[name]


def decompressed(body: bytes, coding: Coding, limit: int) -> bytes:
    """Problem 413 if that is more than `limit` bytes, 400 if it is not whole."""
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
    """The coding of an answer that a client prefers; None: as it is."""
    weights = {each.name: each.weight for each in ranges_of(headers.get(ACCEPT_ENCODING))}
    weights["gzip"] = weights.get("gzip", weights.get("x-gzip", 0.0))
    # "*" is left out: a client that accepts anything is best served without the work.
    coding, best = None, weights.get("identity", 0.0)
    for other in WINDOWS:
        if weights.get(other, 0.0) > best:
            coding, best = other, weights[other]
    return coding
