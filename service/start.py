"""From settings to a service that runs: open the store, load the current version, serve, say so."""

import logging

from contract.access import open_store
from contract.card import SAMPLE
from service.access_log import keep_access_log
from service.app import create_app
from service.journal import Journal
from service.lifecycle import Life
from service.listeners import listen, remove_path, url_of
from service.load_watch import LoadWatch
from service.memory_budget import MemoryBudget
from service.metrics import Metrics
from service.model import Model, load
from service.open_files import allow_connections
from service.ready import say_ready
from service.server import Server
from service.serving import Serving
from service.settings import Settings
from service.statistics import Statistics
from service.store_reads import check_store
from service.streams import STREAMS
from service.team import Team
from service.tracing import tracing_of

log = logging.getLogger("service")


def serve(settings: Settings, journal: Journal) -> None:
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
    serving = Serving(store, model, settings, metrics)
    team, statistics = Team(serving, metrics), Statistics(settings)
    app = create_app(serving, settings, metrics, life, team, statistics, tracing)
    keep_access_log(app, settings, journal)
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
        model.engine.facts,
        settings.threads,
        model.seconds,
    )
