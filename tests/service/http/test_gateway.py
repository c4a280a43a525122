"""The responses of clients when the model is slow, fails or is closed."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import numpy as np
import pytest
from uvicorn.server import ServerState

from contract.store import Store
from contract.version import Version
from service.api.health import probes
from service.api.predictions import BatchPredictions
from service.batching.batcher import Batcher
from service.http.access_log import AccessLog
from service.http.fast.protocol import FastProtocol
from service.lifecycle import Life
from service.models.loading import Model, load
from service.settings import Settings
from service.telemetry.logs.format import Fields
from service.tensors import Answers, Pixels
from tests.support.gateways import gateway_of
from tests.support.pictures import encoded, seven
from tools.fuzz_http.transport import MemoryTransport

pytestmark = pytest.mark.anyio

SEVEN = encoded(seven())


@pytest.fixture(scope="module")
def served(published: tuple[Store, Version]) -> Model:
    """The model that answers name as their source."""
    return load(published[0], None, Settings(threads=1))  # type: ignore[call-arg]


class SaysSeven:
    """Answers 7 for everything once it is released, or fails."""

    def __init__(self, served: Model) -> None:
        self.served = served
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.error: Exception | None = None

    def __call__(self, pixels: Pixels) -> BatchPredictions:
        self.entered.set()
        assert self.open.wait(timeout=10)
        if self.error:
            raise self.error
        rows = np.zeros((len(pixels), 10), np.float32)
        rows[:, 7] = 1
        return BatchPredictions(self.served, Answers(rows, rows))


class Client:
    """A client of the gateway with one fast route, over a batcher whose model the test controls."""

    def __init__(self, served: Model, batcher: Batcher[BatchPredictions], within: float) -> None:
        self.batcher = batcher
        settings = Settings(request_timeout=within)  # type: ignore[call-arg]
        self.reported: list[Fields] = []  # of the log
        gateway = gateway_of(lambda: served, batcher, settings)
        gateway.watch(AccessLog("off", self.reported.append).record)
        self._transport = httpx2.ASGITransport(app=gateway)

    async def post(self) -> httpx2.Response:
        async with httpx2.AsyncClient(transport=self._transport) as client:
            headers = {"Content-Type": "image/png"}
            return await client.post("http://service/v1/predict", content=SEVEN, headers=headers)

    async def posts_waiting(self, count: int) -> list[asyncio.Task[httpx2.Response]]:
        """`count` requests that are all in the batcher's queue when this returns."""
        tasks = [asyncio.create_task(self.post()) for _ in range(count)]
        while self.batcher.depth < count:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.001)
        return tasks


@asynccontextmanager
async def client_of(
    model: SaysSeven, *, max_queue: int = 8, within: float = 30
) -> AsyncIterator[Client]:
    async with Batcher(model, max_batch=4, max_wait=0, max_queue=max_queue) as batcher:
        yield Client(model.served, batcher, within)
        model.open.set()


async def test_a_full_queue_is_503_with_a_retry_time(served: Model) -> None:
    model = SaysSeven(served)
    async with client_of(model, max_queue=2) as client:
        assert (await client.post()).status_code == 200
        model.open.clear()
        model.entered.clear()
        running = asyncio.create_task(client.post())
        await asyncio.to_thread(model.entered.wait, 10)
        waiting = await client.posts_waiting(2)
        refused = await client.post()
        model.open.set()
        accepted = await asyncio.gather(running, *waiting)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert "2 images are already waiting" in refused.json()["detail"]
    assert [response.status_code for response in accepted] == [200, 200, 200]


async def test_an_answer_after_the_deadline_is_504(served: Model) -> None:
    model = SaysSeven(served)
    model.open.clear()
    async with client_of(model, within=0.1) as client:
        response = await client.post()
    assert response.status_code == 504
    assert response.json()["title"] == "Too late"


async def test_a_failing_model_is_500_and_only_the_log_has_the_reason(
    served: Model,
) -> None:
    model = SaysSeven(served)
    model.error = RuntimeError("secret detail of /opt/library")
    async with client_of(model) as client:
        response = await client.post()
        model.error = None
        assert (await client.post()).status_code == 200
    assert response.status_code == 500
    assert "secret" not in response.text
    (event,) = client.reported
    assert event["request_id"] == response.json()["request_id"]
    assert event["exception"] == "RuntimeError: secret detail of /opt/library"
    assert "ModelFailed: the model cannot answer this image" in event["traceback"]


async def test_after_the_batcher_has_closed_the_response_is_503(served: Model) -> None:
    async with client_of(SaysSeven(served)) as client:
        pass
    response = await client.post()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (b"/livez", b'{"alive":true}'),
        (b"/readyz", b'{"ready":true}'),
        (b"/v2/health/live", b'{"live":true}'),
        (b"/v2/health/ready", b'{"ready":true}'),
    ],
)
async def test_probes_are_answered_at_once(served: Model, path: bytes, content: bytes) -> None:
    """In the same turn of the event loop, however many requests wait for theirs."""
    settings, life = Settings(), Life()  # type: ignore[call-arg]
    async with Batcher(SaysSeven(served), max_batch=4, max_wait=0, max_queue=8) as batcher:
        gateway = gateway_of(lambda: served, batcher, settings, fast_only=[*probes(life, batcher)])

        def answered() -> bytes:
            protocol, transport = FastProtocol(gateway, ServerState()), MemoryTransport()
            protocol.connection_made(transport)
            protocol.data_received(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            return bytes(transport.written)

        response = answered()
        life.draining = True
        while_stopping = answered()
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.endswith(content)
    assert while_stopping[9:12] == (b"503" if b"ready" in path else b"200")
