"""The service in one process, from its settings to its end."""

import logging

from contract.card import SAMPLE
from service.app import build
from service.memory.budget import MemoryBudget
from service.server import Server
from service.settings import Settings
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.setup import say_ready
from service.telemetry.logs.streams import STREAMS
from service.workers.sockets import listen, remove_path, url_of

log = logging.getLogger("service")


def serve(settings: Settings, log_handler: AsyncLogHandler) -> None:
    """Serve the current version, whichever that is, until a signal ends it.

    Raises a StoreError or CannotStart before the port opens.
    """
    app, _, model = build(
        settings, log_handler, lambda reason: log.critical("cannot start: %s", reason)
    )
    metrics = app.metrics
    metrics.before_scrape.append(lambda: metrics.count_native(*STREAMS.counts))
    MemoryBudget.of(settings, model.image_bytes).log()
    listener = listen(settings)
    url, sample = url_of(listener), model.version.folder / SAMPLE
    try:
        Server(app, announce=lambda: say_ready(settings, url, sample)).run(sockets=[listener])
    finally:
        remove_path(settings)
    log.info("stopped")
