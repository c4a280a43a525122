"""From settings to a service that runs: open the store, load the current version, serve, say so."""

import logging

from contract.card import SAMPLE
from contract.store import open_store
from service.api.v2.statistics import Statistics
from service.app import create_app
from service.http.access_log import keep_access_log
from service.lifecycle import Life
from service.memory.budget import MemoryBudget
from service.models.load_limits import LoadWatch
from service.models.loading import Model, load
from service.models.manager import ModelManager
from service.models.store_reads import check_store
from service.server import Server
from service.settings import Settings
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.setup import say_ready
from service.telemetry.logs.streams import STREAMS
from service.telemetry.metrics.registry import Metrics
from service.telemetry.tracing import tracing_of
from service.workers.peers import Peers
from service.workers.sockets import allow_connections, listen, remove_path, url_of

log = logging.getLogger("service")


def serve(settings: Settings, log_handler: AsyncLogHandler) -> None:
    """Serve the current version, whichever that is, until a signal ends it.

    Raises a StoreError or CannotStart before the port opens.
    """
    allow_connections(settings.max_connections)
    store = open_store(settings.models, settings.model, settings.trusted_keys)
    metrics, life = Metrics(), Life()
    metrics.before_scrape.append(lambda: metrics.count_native(*STREAMS.counts))
    tracing = tracing_of(settings, metrics)
    check_store(store, None, settings)
    watch = LoadWatch(lambda sentence: log.critical("cannot start: %s", sentence))
    model = load(store, None, settings, watch)
    introduce(model, settings)
    MemoryBudget.of(settings).log()
    serving = ModelManager(store, model, settings, metrics)
    peers, statistics = Peers(serving, metrics), Statistics(settings)
    app = create_app(serving, settings, metrics, life, peers, statistics, tracing)
    keep_access_log(app, settings, log_handler)
    listener = listen(settings)
    url, sample = url_of(listener), model.version.folder / SAMPLE
    server = Server(app, settings, life, announce=lambda: say_ready(url, sample))
    try:
        server.run(sockets=[listener])
    finally:
        remove_path(settings)
    log.info("stopped")


def introduce(model: Model, settings: Settings) -> None:
    card = model.card
    log.info(
        "%s version %d (%s, %.2f %% right on %d test pictures of %s) on %s, %d threads, "
        "loaded and proven in %.2f s",
        card.name,
        model.number,
        card.network,
        card.evaluation.accuracy * 100,
        card.data_set.test,
        card.data_set.name,
        model.engine.info,
        settings.threads,
        model.seconds,
    )
