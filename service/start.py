"""From settings to a service that runs: open the version, load the engine, serve, say so."""

import logging
import shlex
import sys

from contract.card import SAMPLE
from contract.store import Store, Version
from service.app import create_app, load
from service.engine import Engine
from service.life import Life
from service.metrics import Metrics
from service.server import Server
from service.settings import Settings

log = logging.getLogger("service")


def serve(settings: Settings) -> None:
    """Serve the current version until a signal ends it.

    Raises NoVersion, BrokenVersion or CannotStart before the port opens.
    """
    version = Store(settings.models, settings.model).open()
    metrics, life = Metrics(), Life()
    engine = load(version, settings, metrics)
    _introduce(version, engine, settings)

    def announce(url: str) -> None:
        log.info("ready on %s, API at %s/docs; Ctrl-C stops it. Try:", url, url)
        sample = shlex.quote(f"@{version.folder / SAMPLE}")
        command = f"curl -H 'Content-Type: image/png' --data-binary {sample} {url}/v1/predict"
        print(f"\n  {command}\n", file=sys.stderr, flush=True)

    app = create_app(version, engine, settings, metrics, life)
    Server(app, settings, life, announce).serve_until_stopped()


def _introduce(version: Version, engine: Engine, settings: Settings) -> None:
    card = version.card
    log.info(
        "%s version %d (%s, %.2f %% right on %d test pictures of %s) on %s, %d threads",
        card.name,
        version.number,
        card.network,
        card.evaluation.accuracy * 100,
        card.data_set.test,
        card.data_set.name,
        engine.provider,
        settings.threads,
    )
