"""Work in slices: what requests keep between theirs is bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event
from time import perf_counter

import pytest

from contract.cgroup import available_cores
from service.batching.interface import QueueFull
from service.http.exchange import Exchange
from service.http.offload import MANY, Kept, Offload, Slices
from service.telemetry.metrics.registry import Metrics
from tests.support.program import PATIENCE

pytestmark = pytest.mark.anyio


class Request(Exchange):
    """Without a connection."""

    __slots__ = ("ended",)
    latest = 0.0

    def __init__(self) -> None:
        now = perf_counter()
        super().__init__(Metrics(), {}, b"", b"", now, now + PATIENCE)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _send(self, status: int, head: bytes, content: bytes) -> None:
        self.ended.set_result(None)

    def _refuse(self, error: Exception) -> None:
        self.ended.set_exception(error)


@asynccontextmanager
async def offload_with(kept: int) -> AsyncIterator[Offload]:
    offload = Offload(100, 2**30, kept, threads=2)
    yield offload
    offload.close()


def begin(offload: Offload, slices: Slices[None], *, keeps: int = 0) -> Request:
    request = Request()
    offload.do(request, slices, lambda *_: request.reply(200, b"", b""), keeps=keeps)
    return request


def keeping(
    size: int, began: Callable[[], object] = int, ended: Callable[[], object] = int
) -> Slices[None]:
    """Keeps so many bytes over several slices."""
    yield 0
    yield Kept(size)
    began()
    yield 0
    yield 2**23  # a large one
    ended()


async def test_requests_that_advance_together_keep_no_more_than_there_is() -> None:
    kept = most = 0

    def keep(size: int) -> None:
        nonlocal kept, most
        kept += size
        most = max(most, kept)

    async with offload_with(kept=100) as offload:
        work = [keeping(30, lambda: keep(30), lambda: keep(-30)) for _ in range(20)]
        for request in [begin(offload, each) for each in work]:
            await request.ended
    assert 0 < most <= 90


async def test_a_request_that_keeps_more_than_there_is_does_so_alone() -> None:
    async with offload_with(kept=100) as offload:
        for request in [begin(offload, keeping(size)) for size in (60, 1000, 60)]:
            await request.ended


async def test_requests_that_are_alike_come_in_the_order_of_their_arrival() -> None:
    """A few bytes fewer are no reason to pass another."""
    order: list[int] = []
    sizes = [2**23 + more for more in (900, 0, 500, 100)]

    def large(size: int) -> Slices[None]:
        yield size
        order.append(size)

    async with offload_with(kept=0) as offload:
        for request in [begin(offload, large(size)) for size in sizes]:
            await request.ended
    assert order == sizes


async def test_the_cores_are_taken_while_many_requests_wait_for_them() -> None:
    """Of a few, the next image is done too late for others to wait for it."""
    may_end, cores = Event(), available_cores()

    def large() -> Slices[None]:
        yield 2**23
        may_end.wait(PATIENCE)

    offload = Offload(100, 2**30, threads=cores + 1)
    requests = [begin(offload, large()) for _ in range(MANY - 1)]
    assert not offload.takes_all_cores()
    requests += [begin(offload, large()) for _ in range(cores)]
    assert offload.takes_all_cores()
    may_end.set()
    for request in requests:
        await request.ended
    assert not offload.takes_all_cores()
    offload.close()


async def test_one_that_hangs_up_while_it_waits_for_room_takes_none() -> None:
    async with offload_with(kept=100) as offload:
        held = Event()
        first = begin(offload, keeping(100, held.wait))
        second, third = begin(offload, keeping(100)), begin(offload, keeping(100))
        await asyncio.sleep(0)
        second.hang_up()
        held.set()
        await first.ended
        await third.ended


async def test_what_requests_bring_along_is_bounded_too() -> None:
    async with offload_with(kept=100) as offload:
        held = Event()

        def work() -> Slices[None]:
            yield 0
            held.wait(PATIENCE)

        first = begin(offload, work(), keeps=70)
        with pytest.raises(QueueFull):
            begin(offload, work(), keeps=70)
        held.set()
        await first.ended
        await begin(offload, work(), keeps=70).ended
