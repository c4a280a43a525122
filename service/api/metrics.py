"""GET /metrics, as a fast endpoint: the format and the compression that a scraper prefers.

    Accept, Accept-Encoding --> Prometheus' text or OpenMetrics, plain or compressed

Rendering takes a millisecond, during which the event loop serves no other request, so all scrapes
within a tenth of a second share one rendering. Behind ASGI a scrape would be a task that waits for
the next iteration of the event loop, some milliseconds with 64 busy connections. FastAPI documents
the route, and serves what the fast path does not: HEAD, and scrapes while the service drains.
"""

import time
from collections.abc import Mapping

from service.http.compression import Coding, accepted, compressed
from service.http.exchange import Endpoint, Exchange
from service.http.negotiation import preferred
from service.telemetry.metrics.registry import Metrics

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SHARED = 0.1  # seconds for which scrapes share a rendering


class Scrape(Endpoint):
    route = "/metrics"
    method = "GET"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # By whether it is OpenMetrics: until when it is shared, on time.monotonic(), and the text
        # in each coding, None: uncompressed.
        self._latest: dict[bool, tuple[float, dict[Coding | None, bytes]]] = {}

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Scrapes need no API key."""

    def begin(self, exchange: Exchange) -> None:
        headers, content = self.response(exchange.headers)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        exchange.reply(200, head.encode(), content)

    def response(self, headers: Mapping[bytes, bytes]) -> tuple[dict[str, str], bytes]:
        """Headers and content, as the client prefers them; text if it accepts neither format."""
        kind = preferred(headers.get(b"accept"), (TEXT, OPENMETRICS)) or TEXT
        coding = accepted(headers)
        content = self._rendered(openmetrics=kind == OPENMETRICS, coding=coding)
        named = {"content-type": kind, "vary": "accept, accept-encoding"}
        if coding is not None:
            named["content-encoding"] = coding
        return named, content

    def _rendered(self, *, openmetrics: bool, coding: Coding | None) -> bytes:
        now = time.monotonic()
        until, texts = self._latest.get(openmetrics, (now, {}))
        if until <= now:
            texts = {None: self._metrics.exposition(openmetrics=openmetrics)}
            self._latest[openmetrics] = now + SHARED, texts
        if coding is not None and coding not in texts:
            texts[coding] = compressed(texts[None], coding)
        return texts[coding]
