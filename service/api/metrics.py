"""GET /metrics: which format, which compression, and the endpoint that serves predictions' way.

    Accept, Accept-Encoding --> Prometheus' text or OpenMetrics, plain or compressed

Rendering takes a millisecond, during which the event loop serves no other request, so all scrapes
within a tenth of a second share one rendering. Behind ASGI a scrape becomes a task that waits for
the next round of the event loop; with 64 busy connections a round takes some milliseconds. So the
fast path serves it. FastAPI documents the route, and serves what the fast path does not: HEAD, and
scrapes while the service drains.
"""

import time
from collections.abc import Mapping
from typing import NamedTuple

from service.http.compression import Coding, accepted, compressed
from service.http.exchange import Exchange
from service.http.negotiation import preferred
from service.telemetry.metrics.registry import Metrics

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SHARED = 0.1  # seconds for which scrapes share a rendering


class Response(NamedTuple):
    headers: dict[str, str]  # names in lower case
    content: bytes


class _Rendering(NamedTuple):
    until: float  # time.monotonic()
    forms: dict[Coding | None, bytes]  # None: uncompressed


class Scrape:
    route = "/metrics"
    method = "GET"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._latest: dict[bool, _Rendering] = {}  # by whether it is OpenMetrics

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Scrapes need no API key."""

    def begin(self, exchange: Exchange) -> None:
        headers, content = self.response(exchange.headers)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        exchange.reply(200, head.encode(), content)

    def response(self, headers: Mapping[bytes, bytes]) -> Response:
        """The metrics as the client prefers them; text for a client that accepts neither format."""
        kind = preferred(headers.get(b"accept"), (TEXT, OPENMETRICS)) or TEXT
        coding = accepted(headers)
        content = self._rendered(openmetrics=kind == OPENMETRICS, coding=coding)
        named = {"content-type": kind, "vary": "accept, accept-encoding"}
        if coding is not None:
            named["content-encoding"] = coding
        return Response(named, content)

    def _rendered(self, *, openmetrics: bool, coding: Coding | None) -> bytes:
        now = time.monotonic()
        latest = self._latest.get(openmetrics)
        if latest is None or latest.until <= now:
            content = self._metrics.exposition(openmetrics=openmetrics)
            latest = self._latest[openmetrics] = _Rendering(now + SHARED, {None: content})
        if coding is not None and coding not in latest.forms:
            latest.forms[coding] = compressed(latest.forms[None], coding)
        return latest.forms[coding]
