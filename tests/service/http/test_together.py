"""Requests that arrive in the same turn of the event loop are decoded, submitted and answered
together; what applies to one of them alone does not touch the others.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import numpy as np
import pytest
from uvicorn.server import ServerState

from contract.store import Store
from contract.version import Version
from service.api.predictions import BatchPredictions
from service.batching.batcher import Batcher
from service.http.fast.protocol import FastProtocol
from service.http.gateway import Gateway
from service.models.loading import Model, load
from service.settings import Settings
from service.telemetry.request_record import Labels, RequestEvent
from service.tensors import Answers, Pixels
from tests.support.gateways import gateway_of
from tests.support.pictures import encoded
from tests.support.written import written_digits
from tools.fuzz_http.transport import MemoryTransport

pytestmark = pytest.mark.anyio

DIGITS = written_digits()[0][:20]  # (20, 28, 28), no two alike
POST = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n%b"


@pytest.fixture(scope="module")
def served(published: tuple[Store, Version]) -> Model:
    return load(published[0], None, Settings(threads=1))  # type: ignore[call-arg]


class Names:
    """A model that answers 7, records which of DIGITS were in each call, and cannot read some."""

    def __init__(self, served: Model) -> None:
        self.served = served
        self.calls: list[list[int]] = []
        self.unreadable: set[int] = set()
        self.nan: set[int] = set()  # whose probabilities are not numbers
        self.seconds = 0.0  # that a call takes
        self.open = threading.Event()  # a call waits until this is set
        self.open.set()

    def __call__(self, pixels: Pixels) -> BatchPredictions:
        digits = [int((image == DIGITS).all((1, 2)).argmax()) for image in pixels]
        self.calls.append(digits)
        assert self.open.wait(timeout=10)
        began = perf_counter()
        while perf_counter() < began + self.seconds:
            pass
        if self.unreadable & {*digits}:
            raise ValueError("cannot read this image")
        rows = np.zeros((len(pixels), 10), np.float32)
        rows[:, 7] = 1
        rows[[digit in self.nan for digit in digits]] = np.nan
        return BatchPredictions(self.served, Answers(rows, rows))


class Clients:
    """One connection for each of DIGITS, all of whose requests arrive in the same turn."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.seen: list[tuple[Labels, int | None]] = []  # of each request, and its batch's size
        gateway.watch(self._watch)
        self.connections: list[tuple[FastProtocol, MemoryTransport]] = []

    def _watch(self, event: RequestEvent, labels: Labels, _: float) -> None:
        size = None if event.timings is None else len(event.timings.run.answers)
        self.seen.append((labels, size))

    def send(
        self, digit: int, lines: bytes = b"", body: bytes | None = None, sent: int | None = None
    ) -> MemoryTransport:
        """`sent`: where what is sent of the request ends."""
        protocol, transport = FastProtocol(self.gateway, ServerState()), MemoryTransport()
        protocol.seconds = 30.0  # of connections; the requests' own is the settings'
        protocol.connection_made(transport)
        png = encoded(DIGITS[digit]) if body is None else body
        length = b"Content-Length: %d\r\n\r\n" % len(png)
        protocol.data_received((POST % lines + length + png)[:sent])
        self.connections.append((protocol, transport))
        return transport

    def hang_up(self, index: int) -> None:
        self.connections[index][0].connection_lost(None)

    async def statuses(self) -> list[int | None]:
        """Of each connection's response, once nothing is left to do; None: there is none."""
        await asyncio.sleep(0.05)
        written = [bytes(transport.written) for _, transport in self.connections]
        return [int(each[9:12]) if each else None for each in written]


@asynccontextmanager
async def clients_of(
    model: Names,
    *,
    max_batch: int = 64,
    max_queue: int = 64,
    within: float = 30,
    on_loop: bool = True,
) -> AsyncIterator[Clients]:
    settings = Settings(request_timeout=within)  # type: ignore[call-arg]
    async with Batcher(
        model, max_batch=max_batch, max_wait=0, max_queue=max_queue, on_loop=lambda _: on_loop
    ) as batcher:
        yield Clients(gateway_of(lambda: model.served, batcher, settings))


async def test_one_call_of_the_model_answers_all(served: Model) -> None:
    model = Names(served)
    async with clients_of(model) as clients:
        for digit in range(12):
            clients.send(digit)
        assert await clients.statuses() == [200] * 12
    assert model.calls == [[*range(12)]]
    assert clients.seen == [(("/v1/predict", "POST", "200"), 12)] * 12


async def test_more_than_a_batch_are_several_calls(served: Model) -> None:
    model = Names(served)
    async with clients_of(model, max_batch=8) as clients:
        for digit in range(20):
            clients.send(digit)
        assert await clients.statuses() == [200] * 20
    assert model.calls == [[*range(8)], [*range(8, 16)], [*range(16, 20)]]


async def test_a_full_batch_does_not_wait_for_the_end_of_the_turn(served: Model) -> None:
    model = Names(served)
    async with clients_of(model, max_batch=8) as clients:
        for digit in range(7):
            clients.send(digit)
        assert model.calls == []
        clients.send(7)
        assert model.calls == [[*range(8)]]
        clients.send(8)
        assert await clients.statuses() == [200] * 9
    assert model.calls == [[*range(8)], [8]]


async def test_each_response_has_its_own_request_id(served: Model) -> None:
    async with clients_of(Names(served)) as clients:
        given = clients.send(0, b"X-Request-ID: given\r\n")
        others = [clients.send(digit) for digit in (1, 2)]
        assert await clients.statuses() == [200] * 3
    assert b"x-request-id: given\r\n" in given.written
    ids = {bytes(each.written).partition(b"x-request-id: ")[2].split(b"\r\n")[0] for each in others}
    assert len(ids) == 2


@pytest.mark.parametrize("arrived", ["not decoded yet", "queued"])
async def test_the_image_of_a_client_that_hung_up_is_not_computed(
    served: Model, arrived: str
) -> None:
    model = Names(served)
    async with clients_of(model) as clients:
        for digit in range(4):
            clients.send(digit)
        if arrived == "queued":
            await asyncio.sleep(0)  # they are decoded and submitted, and the model is not called
            assert model.calls == []
        clients.hang_up(2)
        assert await clients.statuses() == [200, 200, None, 200]
    assert model.calls == [[0, 1, 3]]
    assert sorted(clients.seen) == [
        (("/v1/predict", "POST", "200"), 3),
        (("/v1/predict", "POST", "200"), 3),
        (("/v1/predict", "POST", "200"), 3),
        (("/v1/predict", "POST", "499"), None),
    ]


async def test_nothing_is_computed_if_all_hang_up(served: Model) -> None:
    model = Names(served)
    async with clients_of(model) as clients:
        for digit in range(3):
            clients.send(digit)
        await asyncio.sleep(0)
        for index in range(3):
            clients.hang_up(index)
        assert await clients.statuses() == [None] * 3
    assert model.calls == []


async def test_an_image_that_the_model_cannot_read_fails_alone(served: Model) -> None:
    model = Names(served)
    model.unreadable = {1, 5}
    async with clients_of(model) as clients:
        for digit in range(6):
            clients.send(digit)
        assert await clients.statuses() == [200, 500, 200, 200, 200, 500]


async def test_an_image_that_the_model_answers_with_nan_fails_alone(served: Model) -> None:
    model = Names(served)
    model.nan = {2}
    async with clients_of(model) as clients:
        for digit in range(4):
            clients.send(digit)
        assert await clients.statuses() == [200, 200, 500, 200]
        _, refused = clients.connections[2]
        assert b'"type":"/problems/model-answered-nan"' in refused.written
        assert b"DIGITSERVE_PRECISION" in refused.written


async def test_accepted_images_are_answered_although_another_failed_and_the_service_stops(
    served: Model,
) -> None:
    model = Names(served)
    model.unreadable = {1}
    model.open.clear()
    async with clients_of(model, on_loop=False) as clients:
        for digit in range(4):
            clients.send(digit)
        while not model.calls:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_later(0.05, model.open.set)
    assert await clients.statuses() == [200, 500, 200, 200]


async def test_each_is_refused_if_the_service_stops_in_that_turn(served: Model) -> None:
    model = Names(served)
    async with clients_of(model) as clients:
        for digit in range(3):
            clients.send(digit)
    assert await clients.statuses() == [503] * 3
    assert model.calls == []


async def test_an_image_that_is_damaged_fails_alone(served: Model) -> None:
    model = Names(served)
    async with clients_of(model) as clients:
        clients.send(0)
        damaged = bytearray(encoded(DIGITS[1]))
        damaged[-20] ^= 255
        clients.send(1, body=bytes(damaged))
        clients.send(2, body=b"no image")
        clients.send(3)
        assert await clients.statuses() == [200, 422, 422, 200]
    assert model.calls == [[0, 3]]


async def test_an_answer_after_the_deadline_is_504_for_each(served: Model) -> None:
    model = Names(served)
    model.seconds = 0.03
    async with clients_of(model, within=0.02) as clients:
        for digit in range(3):
            clients.send(digit)
        assert await clients.statuses() == [504] * 3


async def test_a_deadline_is_counted_from_the_arrival_of_each(served: Model) -> None:
    model = Names(served)
    model.seconds = 0.2
    async with clients_of(model, within=0.4) as clients:
        clients.send(0)
        time.sleep(0.3)  # noqa: ASYNC251 (the point: it is the same turn of the event loop)
        clients.send(1)
        assert await clients.statuses() == [504, 200]


async def test_a_slow_body_does_not_get_the_deadline_of_others(served: Model) -> None:
    model = Names(served)
    model.open.clear()
    async with clients_of(model, within=1, on_loop=False) as clients:
        clients.send(0, sent=-5)
        await asyncio.sleep(0.6)
        clients.connections[0][0].data_received(encoded(DIGITS[0])[-5:])
        clients.send(1)
        await asyncio.sleep(0.55)  # the deadline of the first has passed, and the model runs
        assert await clients.statuses() == [504, None]
        model.open.set()
        assert await clients.statuses() == [504, 200]


async def test_a_request_with_a_deadline_of_its_own_has_that(served: Model) -> None:
    model = Names(served)
    model.seconds = 0.5
    async with clients_of(model, on_loop=False) as clients:
        clients.send(0)
        clients.send(1, b"X-Request-Timeout: 0.02\r\n")
        await asyncio.sleep(0.1)
        assert await clients.statuses() == [None, 504]
        await asyncio.sleep(0.5)
        assert await clients.statuses() == [200, 504]


async def test_beyond_the_queue_each_is_refused_before_it_is_decoded(served: Model) -> None:
    model = Names(served)
    async with clients_of(model, on_loop=False) as clients:
        for digit in range(70):
            clients.send(digit % 20)
        assert await clients.statuses() == [200] * 64 + [503] * 6
        assert b"digitserve_decode_seconds_count 64.0" in clients.gateway.metrics.exposition()
