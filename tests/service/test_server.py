"""The end of a server, turn by turn; tests/system stops whole processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from contract.store import Store
from contract.version import Version
from service.api.predictions import predict_batch
from service.batching.batcher import Batcher
from service.http.fast.protocol import FastProtocol
from service.models.loading import load
from service.models.manager import ModelManager
from service.server import Server
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from tests.support.gateways import gateway_of
from tests.support.pictures import encoded, seven
from tools.fuzz_http.transport import MemoryTransport

pytestmark = pytest.mark.anyio

SMALL = encoded(seven(side=28))
HEAD = (
    b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
)
WHOLE = HEAD % len(SMALL) + SMALL


@asynccontextmanager
async def server_of(published: tuple[Store, Version]) -> AsyncIterator[Server]:
    settings, metrics = Settings(threads=1), Metrics()  # type: ignore[call-arg]
    store, _ = published
    serving = ModelManager(store, load(store, None, settings), settings, metrics)
    async with Batcher(
        lambda pixels: predict_batch(serving, metrics, pixels), max_batch=4, max_wait=0, max_queue=8
    ) as batcher:
        yield Server(gateway_of(lambda: serving.model, batcher, settings), announce=lambda: None)


def connect(server: Server) -> tuple[FastProtocol, MemoryTransport]:
    protocol, transport = FastProtocol(server.config.app, server.server_state), MemoryTransport()  # type: ignore[arg-type]
    protocol.connection_made(transport)
    return protocol, transport


async def test_while_the_service_drains_a_response_ends_its_connection(
    published: tuple[Store, Version],
) -> None:
    """Also for a client that has sent the same head before."""
    async with server_of(published) as server:
        protocol, transport = connect(server)
        for _ in range(2):
            protocol.data_received(WHOLE)
            await asyncio.sleep(0.05)
        assert transport.written.count(b"HTTP/1.1 200 OK") == 2
        assert b"connection: close" not in transport.written
        server.drain(0.0)
        protocol.data_received(WHOLE)
        await asyncio.sleep(0.05)
    assert transport.written.count(b"HTTP/1.1 200 OK") == 3
    assert b"connection: close" in transport.written
    assert transport.closing


async def test_a_body_that_arrives_while_the_service_drains_brings_no_head_back(
    published: tuple[Store, Version],
) -> None:
    async with server_of(published) as server:
        first, arriving = connect(server)
        first.data_received(WHOLE[:-5])
        server.drain(0.0)
        first.data_received(WHOLE[-5:])
        await asyncio.sleep(0.05)
        second, transport = connect(server)
        second.data_received(WHOLE)
        await asyncio.sleep(0.05)
    assert arriving.written.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in transport.written


async def test_a_second_signal_is_answered_in_the_turn_in_which_connections_end(
    published: tuple[Store, Version],
) -> None:
    """Then a request whose body is arriving has just become a task, which has not begun."""
    async with server_of(published) as server:
        protocol, transport = connect(server)
        protocol.data_received(WHOLE[:-5])
        server.drain(0.0)
        server.end_now()
        protocol.shutdown()
        await asyncio.sleep(0.05)
    assert transport.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert transport.closing
