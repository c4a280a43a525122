"""Serve the current model version over HTTP: python -m service

Everything is set through environment variables:
"""

import logging
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from contract.card import SAMPLE
from contract.store import BrokenVersion, NoVersion, Store
from service.app import create_app, load
from service.engine import EngineRefused
from service.life import Life
from service.metrics import Metrics
from service.server import PortTaken, Server
from service.settings import BadSetting, Settings, help_text, unknown_settings

log = logging.getLogger("service")


def main(words: list[str] | None = None) -> int:
    ArgumentParser(
        "python -m service",
        description=f"{__doc__}\n{help_text()}",
        formatter_class=RawDescriptionHelpFormatter,
    ).parse_args(words)
    try:
        settings = Settings.from_environment()
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
            stream=sys.stderr,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # `server` tells its life
        _serve(settings)
    except (BadSetting, BrokenVersion, NoVersion, EngineRefused, PortTaken, ValueError) as error:
        print(f"service: {error}", file=sys.stderr)
        return 2
    return 0


def _serve(settings: Settings) -> None:
    for sentence in unknown_settings():
        log.warning(sentence)
    version = Store(settings.models, settings.model).open()
    metrics, life = Metrics(), Life()
    engine = load(version, settings, metrics)
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

    def announce(url: str) -> None:
        log.info("ready on %s, API at %s/docs; Ctrl-C stops it. Try:", url, url)
        sample = version.folder / SAMPLE
        print(
            f"\n  curl -H 'Content-Type: image/png' --data-binary @{sample} {url}/v1/predict\n",
            file=sys.stderr,
            flush=True,
        )

    Server(
        create_app(version, engine, settings, metrics, life), settings, life, announce
    ).serve_until_stopped()


if __name__ == "__main__":
    sys.exit(main())
