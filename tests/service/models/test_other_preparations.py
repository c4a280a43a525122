"""A switch may change shape and preparation: no image is answered by a model that takes others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from PIL import Image
from uvicorn.server import ServerState

from contract.card import StretchPreparation
from contract.store import Store
from contract.version import Version
from service.api.predictions import BatchPredictions, predict_batch
from service.batching.batcher import Batcher
from service.http.fast.protocol import FastProtocol
from service.http.gateway import Gateway
from service.models.loading import load
from service.models.manager import ModelManager
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from tests.support import fetch
from tests.support.classifiers import publish_classifier
from tests.support.gateways import gateway_of
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.running import ADMIN, TOKEN, Service, status
from tests.support.versions import publish, two_versions
from tools.fuzz_http.transport import MemoryTransport

pytestmark = pytest.mark.anyio

MNIST = encoded(seven(side=28, paper=0, ink=255))  # needs no preparation
RED = encoded(Image.new("RGB", (50, 50), (250, 0, 0)))
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n%b"
DIGITS, COLOURS, STRETCHED = 1, 3, 4  # versions


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Version 3 takes colour images; version 4 takes digits that are prepared otherwise."""
    store = two_versions(published, tmp_path_factory.mktemp("preparations"))
    assert publish_classifier(store, published[1]) == COLOURS
    stretch = StretchPreparation(size=(28, 28))
    assert publish(store, published[1], schema_version=4, preparation=stretch) == STRETCHED
    return store


class Client:
    """Requests to a gateway whose batches leave with two images, however long that takes."""

    def __init__(self, gateway: Gateway, batcher: Batcher[BatchPredictions]) -> None:
        self._gateway = gateway
        self._batcher = batcher

    def send(self, body: bytes, lines: bytes = b"") -> MemoryTransport:
        protocol, transport = FastProtocol(self._gateway, ServerState()), MemoryTransport()
        protocol.seconds = 30.0
        protocol.connection_made(transport)
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        protocol.data_received(HEAD % lines + length + body)
        return transport

    async def waiting(self, images: int) -> None:
        async with asyncio.timeout(30):
            while self._batcher.depth < images:  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(0.001)


async def answer(transport: MemoryTransport) -> str:
    async with asyncio.timeout(30):
        while b"}" not in transport.written:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.001)
    return transport.written.decode()


@asynccontextmanager
async def serving(store: Store) -> AsyncIterator[tuple[ModelManager, Client]]:
    settings = Settings(threads=1, request_timeout=120)  # type: ignore[call-arg]
    metrics = Metrics()
    serving = ModelManager(store, load(store, DIGITS, settings), settings, metrics)
    async with Batcher(
        lambda pixels: predict_batch(serving, metrics, pixels),
        max_batch=2,
        max_wait=60,
        max_queue=8,
    ) as batcher:
        yield serving, Client(gateway_of(lambda: serving.model, batcher, settings), batcher)


@pytest.mark.parametrize("lines", [b"", b"X-Request-Timeout: 60\r\n"], ids=["together", "alone"])
@pytest.mark.parametrize(
    ("number", "image", "label"), [(COLOURS, RED, '"red"'), (STRETCHED, MNIST, '"7"')]
)
async def test_an_image_that_waits_during_the_switch_is_prepared_again_for_the_new_model(
    store: Store, number: int, image: bytes, label: str, lines: bytes
) -> None:
    async with serving(store) as (manager, client):
        before = client.send(MNIST, lines)
        await client.waiting(1)
        await manager.activate(number)
        # With the one before, or without it, they are a batch.
        after = [client.send(image, lines) for _ in range(1 if number == COLOURS else 2)]
        for transport in (before, *after):
            answered = await answer(transport)
            assert answered.startswith("HTTP/1.1 200")
            assert transport is before or f'"label":{label}' in answered
            assert f'"version":"{number}"' in answered
        await manager.activate(DIGITS)
        manager.close()


def test_status_document_and_answers_follow_a_switch_and_back(store: Store) -> None:
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service:
        assert predicted(service, SEVEN)["digit"] == 7
        switch(service, COLOURS)
        assert predicted(service, RED)["label"] == "red"
        assert status(service)["model"]["input"]["channels"] == 3
        assert "32, 32, 3" in fetch.get(f"{service.url}/openapi.json").text
        # The version before is warm, and prepares images in its own way.
        beside = fetch.post(f"{service.url}/v1/models/digits/versions/1/predict", content=SEVEN)
        assert beside.json()["predictions"][0]["digit"] == 7
        # Another one is loaded for it.
        other = f"{service.url}/v1/models/digits/versions/{STRETCHED}/predict?debug=pixels"
        found = fetch.post(other, content=MNIST, headers=ADMIN).json()["predictions"][0]
        assert found["label"] == "7"
        switch(service, DIGITS)
        assert predicted(service, SEVEN)["digit"] == 7


def test_labels_of_models_that_served_before_the_last_two_are_no_longer_counted() -> None:
    metrics = Metrics()
    for number in range(5):
        labels = [f"{number}-{index}" for index in range(100)]
        metrics.labels_serve(labels)
        metrics.predictions.record_all((label,) for label in labels)
        metrics.refresh()
    counted = [line for line in metrics.exposition().decode().splitlines() if "total{label" in line]
    assert len(counted) == 200


def switch(service: Service, number: int) -> None:
    path = f"{service.url}/v1/models/digits/versions/{number}/activate"
    assert fetch.post(path, headers=ADMIN).status_code == 200


def predicted(service: Service, body: bytes) -> dict[str, Any]:
    answer = fetch.post(f"{service.url}/v1/predict", content=body)
    found: dict[str, Any] = answer.json()["predictions"][0]
    return found
