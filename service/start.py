"""From settings to a service that runs: open the store, load the current version, serve, say so."""

import logging
import shlex
import sys

from contract.access import open_store
from contract.card import SAMPLE
from service.app import create_app
from service.life import Life
from service.metrics import Metrics
from service.model import Model, load
from service.server import Server
from service.serving import Serving
from service.settings import Settings

log = logging.getLogger("service")


def serve(settings: Settings) -> None:
    """Serve the current version, whichever that is, until a signal ends it.

    Raises a StoreError or CannotStart before the port opens.
    """
    store = open_store(settings.models, settings.model, settings.trusted_keys)
    metrics, life = Metrics(), Life()
    model = load(store, None, settings)
    _introduce(model, settings)

    def announce(url: str) -> None:
        log.info("ready on %s, API at %s/docs; Ctrl-C stops it. Try:", url, url)
        sample = shlex.quote(f"@{model.version.folder / SAMPLE}")
        command = f"curl -H 'Content-Type: image/png' --data-binary {sample} {url}/v1/predict"
        print(f"\n  {command}\n", file=sys.stderr, flush=True)

    app = create_app(Serving(store, model, settings, metrics), settings, metrics, life)
    Server(app, settings, life, announce).serve_until_stopped()


def _introduce(model: Model, settings: Settings) -> None:
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
