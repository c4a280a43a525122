"""What is said when the service is ready: where it is, and a command that tries it."""

import logging
import shlex
import sys
from pathlib import Path

log = logging.getLogger("service")


def say_ready(url: str, sample: Path) -> None:
    log.info("ready on %s, API at %s/docs; Ctrl-C stops it. Try:", url, url)
    body = shlex.quote(f"@{sample}")
    command = f"curl -H 'Content-Type: image/png' --data-binary {body} {url}/v1/predict"
    print(f"\n  {command}\n", file=sys.stderr, flush=True)
