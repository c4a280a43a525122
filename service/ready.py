"""What is said when the service is ready: where it is, and a command that tries it.

The command is no event of the log: it is for whoever started the service by hand, on stderr.
"""

import logging
import shlex
import sys
from pathlib import Path

log = logging.getLogger("service")


def say_ready(url: str, sample: Path) -> None:
    log.info("ready on %s, API at %s/docs; Ctrl-C stops it", url, url)
    for handler in logging.getLogger().handlers:
        handler.flush()  # on a terminal, the command is to come after it
    body = shlex.quote(f"@{sample}")
    command = f"curl -H 'Content-Type: image/png' --data-binary {body} {url}/v1/predict"
    print(f"\n  {command}\n", file=sys.stderr, flush=True)
