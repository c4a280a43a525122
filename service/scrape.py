"""GET /metrics: in which format, how compressed, and where predictions are answered.

    Accept, Accept-Encoding --answer_to--> Prometheus' text or OpenMetrics, plain or compressed

Behind ASGI a scrape becomes a task, which waits for the event loop's next round; with 64 busy
connections each round takes some milliseconds. So `Scrape` answers on the connection. FastAPI
documents the route, and answers it where this does not: HEAD, a draining service.
"""

from collections.abc import Mapping
from typing import NamedTuple

from service.exchange import Exchange
from service.metrics import Metrics
from service.negotiation import preferred
from service.v2.compression import accepted

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Answer(NamedTuple):
    headers: dict[str, str]  # names in lower case
    content: bytes


def answer_to(headers: Mapping[bytes, bytes], metrics: Metrics) -> Answer:
    """The numbers as the client prefers them; text for one that accepts neither format."""
    kind = preferred(headers.get(b"accept"), (TEXT, OPENMETRICS)) or TEXT
    coding = accepted(headers)
    content = metrics.renderings.of(openmetrics=kind == OPENMETRICS, coding=coding)
    answer = {"content-type": kind, "vary": "accept, accept-encoding"}
    if coding is not None:
        answer["content-encoding"] = coding
    return Answer(answer, content)


class Scrape:
    route = "/metrics"
    method = "GET"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Everybody."""

    def begin(self, exchange: Exchange) -> None:
        headers, content = answer_to(exchange.headers, self._metrics)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        exchange.reply(200, head.encode(), content)
