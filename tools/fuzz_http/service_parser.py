"""How the service parses a stream: its protocol in this process, with a transport in memory.

The gateway behind it records each complete request. With its fast routes, plain requests take the
fast path; without them, all requests go through ASGI.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from service.errors import Problem
from service.http.auth import Access
from service.http.exchange import Endpoint, Exchange
from service.http.fast.fast_exchange import FastExchange
from service.http.fast.protocol import FastProtocol
from service.http.fast_routes import fast_routes_of
from service.http.gateway import Gateway
from service.http.methods import Methods
from service.lifecycle import Life
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from tools.fuzz_http.reading import CLOSED, OPEN, REFUSED, Reading, Request, request
from tools.fuzz_http.transport import MemoryTransport

IDLE_TURNS = 4  # turns of the event loop without an event, after which there will be none


class _Endpoint(Endpoint):
    def __init__(self, route: str, method: str) -> None:
        self.route, self.method = route, method

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Admits all requests."""

    def begin(self, exchange: Exchange) -> None:
        assert isinstance(exchange, FastExchange)
        protocol: Any = exchange.protocol
        protocol.transport.record(
            request(
                self.method.encode(), protocol.head.target, exchange.headers.items(), exchange.body
            )
        )
        exchange.reply(200, b"", b"")


class _Gateway(Gateway):
    """Records requests instead of answering them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        protocol: Any = scope["connection"]()
        target = protocol.head.target
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        protocol.transport.record(request(scope["method"].encode(), target, scope["headers"], body))
        headers = [(b"content-length", b"0")]
        if scope.get("keeps"):
            headers.append((b"connection", b"keep-alive"))
        start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": b""})


class _Protocol(FastProtocol):
    def refuse(self, problem: Problem) -> None:
        transport: Any = self.transport
        cycle = self.cycle
        # What follows the last request of a connection makes no difference.
        is_behind_last = cycle is not None and not (cycle.more_body or cycle.keep_alive)
        if not (transport.refusal or is_behind_last):
            transport.refusal = f"{problem.status} {problem.detail}"
        super().refuse(problem)


class _Transport(MemoryTransport):
    def __init__(self, protocol: FastProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.requests: list[Request] = []
        self.refusal = ""  # why nothing more is read; it is not written while an answer precedes it

    def record(self, request: Request) -> None:
        self.requests.append(request)
        self.events += 1

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class ServiceParser:
    """Must be created and used on a running event loop."""

    def __init__(self, *, hot: bool) -> None:
        settings = Settings(_env_file=None)  # type: ignore[call-arg]
        metrics = Metrics()
        endpoints = [_Endpoint("/v1/predict", "POST"), _Endpoint("/metrics", "GET")]
        access, methods = Access(settings), Methods(endpoints, [])
        gateway = _Gateway(endpoints, self._nothing, settings, metrics, Life(), access, methods)
        gateway.fast_routes = fast_routes_of(endpoints if hot else [], access, metrics)
        self.max_head = settings.max_header
        self._gateway = gateway

    async def read(self, pieces: Iterable[bytes]) -> Reading:
        protocol = _Protocol(self._gateway, ServerState())
        transport = _Transport(protocol)
        protocol.connection_made(transport)
        for piece in pieces:
            if transport.closing:
                break
            protocol.data_received(piece)
            await self._settle(transport)
            if transport.reading_paused and not transport.closing:
                raise AssertionError("reading is paused, and nothing is left to do")
        reading = self._judged(transport)
        transport.close()
        await self._settle(transport)
        return reading

    @staticmethod
    async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("the front answers all of it")

    @staticmethod
    async def _settle(transport: _Transport) -> None:
        seen, idle = transport.events, 0
        while idle < IDLE_TURNS:
            await asyncio.sleep(0)
            idle = idle + 1 if transport.events == seen else 0
            seen = transport.events

    @staticmethod
    def _judged(transport: _Transport) -> Reading:
        requests = tuple(transport.requests)
        statuses = re.findall(rb"HTTP/1\.1 (\d+) ", transport.written)
        assert statuses.count(b"200") == len(requests), "a request was answered twice, or never"
        if transport.refusal:
            assert transport.closing, transport.refusal
            return Reading(requests, REFUSED, transport.refusal)
        return Reading(requests, CLOSED if transport.closing else OPEN)
