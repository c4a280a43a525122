"""GET /metrics where predictions are answered: on the connection, as soon as it is asked.

Behind ASGI a scrape becomes a task, which waits for the event loop's next round; with 64 busy
connections each round takes some milliseconds. FastAPI documents the route, and answers it where
this does not: HEAD, a draining service.
"""

from collections.abc import Mapping

from service.exchange import Exchange
from service.metrics import EXPOSITION, Metrics

_HEAD = b"content-type: %b\r\n" % EXPOSITION.encode()


class Scrape:
    route = "/metrics"
    method = "GET"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Everybody."""

    def begin(self, exchange: Exchange) -> None:
        exchange.reply(200, _HEAD, self._metrics.exposition())
