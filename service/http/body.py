"""Bodies of requests, bounded in size and time while they are read, and in memory over all clients.

    incomplete and large heads, waiting requests, bodies, unread responses --> one BufferBudget

Each of these has a bound of its own, and so does the number of connections; the product of both
would be far more than the memory of a machine, so a worker also bounds the sum.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import TypeVar

from starlette.types import Receive

from service.batching.interface import QueueFull
from service.errors import Problem
from service.problem_types.content import BODY_TIMEOUT, BODY_TOO_LARGE, BUFFER_FULL


class BufferFull(QueueFull):
    """Heads, bodies and unread responses fill the memory reserved for them."""

    kind = BUFFER_FULL


class BufferBudget:
    def __init__(self, limit: int) -> None:
        """Of that many bytes at a time."""
        self.limit = limit
        self.reserved = 0


class Reservation:
    """The part of the budget that one holder has."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: BufferBudget) -> None:
        self._budget = budget
        self.size = 0

    def take(self, more: int) -> None:
        """Raises BufferFull if there is no room for `more` bytes, and then nothing changes."""
        if more > 0 and self._budget.reserved + more > self._budget.limit:
            raise BufferFull(
                "requests that arrive or wait, and answers that are not read, fill the memory "
                "for them (DIGITSERVE_MAX_BUFFERED)",
                1.0,
            )
        self._budget.reserved += more
        self.size += more

    def resize(self, size: int) -> None:
        """Raises BufferFull if there is no room for the difference."""
        if size != self.size:
            self.take(size - self.size)

    def release(self) -> None:
        self._budget.reserved -= self.size
        self.size = 0


DISCARD_SECONDS = 2.0  # of the body of a request that is refused already


class ClientGone(Exception):
    """The client hung up before it got a response."""


async def read_body(
    headers: Mapping[bytes, bytes],
    receive: Receive,
    limit: int,
    deadline: float,
    reservation: Reservation,
) -> bytes:
    """The body, at most `limit` bytes, read before `deadline` on perf_counter.

    Raises Problem: 408 too slow, 413 too large; QueueFull if the memory for bodies is full; or
    ClientGone.
    """
    # The parser ignores any number of leading zeros, but `int` does not.
    if int(headers.get(b"content-length", b"").lstrip(b"0") or b"0") > limit:
        # A client that sent Expect, as curl does, has not begun to send the body.
        raise await _too_large(receive, limit, sending=b"expect" not in headers)
    chunks, size, more = [], 0, True
    patience = deadline - perf_counter()  # seconds
    try:
        async with asyncio.timeout(patience):
            while more and size <= limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunks.append(message.get("body", b""))
                reservation.take(len(chunks[-1]))
                size += len(chunks[-1])
                more = message.get("more_body", False)
    except TimeoutError:
        raise too_slow(patience) from None
    if size > limit:
        raise await _too_large(receive, limit, sending=more)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_slow(seconds: float) -> Problem:
    """The refusal of a body that did not arrive within `seconds`."""
    return Problem(
        BODY_TIMEOUT,
        f"the body did not arrive within {seconds:.3g} s (DIGITSERVE_REQUEST_TIMEOUT, or a shorter "
        "X-Request-Timeout)",
        headers={"connection": "close"},
    )


async def _too_large(receive: Receive, limit: int, *, sending: bool) -> Problem:
    """The refusal of a body over `limit` bytes, once a client that is `sending` can read it.

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
        BODY_TOO_LARGE,
        f"the body is larger than {limit:,} bytes (DIGITSERVE_MAX_BODY); send a smaller image",
        headers={"connection": "close"},
    )


T = TypeVar("T")


async def while_connected(receive: Receive, work: Awaitable[T]) -> T:
    """The result of `work`; where the client hangs up first, `work` is cancelled and ClientGone is
    raised. The body of the request must have been read, if it has one.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.create_task(disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def disconnected(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
