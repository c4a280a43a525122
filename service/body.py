"""Read the body of a request, bounded in size and time while it is read."""

import asyncio
from contextlib import suppress

from starlette.types import Receive, Scope

from service.problems import Problem
from service.settings import Settings

# Of a picture, and what stands for "look for yourself".
TYPES = frozenset(
    {
        b"image/png", b"image/jpeg", b"image/webp", b"image/bmp", b"image/gif", b"image/tiff",
        b"application/octet-stream", b"",
    }
)  # fmt: skip
DISCARD_SECONDS = 2.0  # of the body of a request that is refused already


class ClientGone(Exception):
    """The client hung up before its request was complete; there is nobody to answer."""


async def read_body(scope: Scope, receive: Receive, settings: Settings, deadline: float) -> bytes:
    """The picture file that a request carries, read before `deadline` on the event loop's clock.

    Raises Problem: 400 empty, 408 too slow, 413 too large, 415 another type; or ClientGone.
    """
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in TYPES:
        raise Problem(
            415,
            f"{kind.decode('latin-1')} is not a picture; send image/png, image/jpeg, image/webp, "
            "image/bmp, image/gif, image/tiff or application/octet-stream",
        )
    limit = settings.max_body
    if int(headers.get(b"content-length", b"0")) > limit:
        # A client that asked first, as curl does, has not begun to send.
        raise await _too_large(receive, limit, sending=b"expect" not in headers)
    chunks, size, more = [], 0, True
    try:
        async with asyncio.timeout_at(deadline):
            while more and size <= limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                more = message.get("more_body", False)
    except TimeoutError:
        seconds = settings.request_timeout
        detail = f"the body did not arrive within {seconds:g} s (DIGITSERVE_REQUEST_TIMEOUT)"
        raise Problem(408, detail, headers={"connection": "close"}) from None
    if size > limit:
        raise await _too_large(receive, limit, sending=more)
    if size == 0:
        raise Problem(400, "the body is empty; send a picture file as the request's body")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _too_large(receive: Receive, limit: int, *, sending: bool) -> Problem:
    """The refusal of a body over `limit` bytes, once a client that is `sending` can hear it.

    A connection that is closed while its client still sends is reset, and most clients then never
    see the answer. So a little more is read, without keeping it.
    """
    patience = 8 * limit  # bytes
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while sending and patience > 0:
                message = await receive()
                patience -= len(message.get("body", b""))
                sending = message.get("more_body", False)
    return Problem(
        413,
        f"the body is larger than {limit:,} bytes (DIGITSERVE_MAX_BODY); send a smaller picture",
        headers={"connection": "close"},
    )
