"""What is said when the service is ready: where it is, and a command that tries it.

The command is no event of the log: it is for whoever started the service by hand, on stderr. Where
there is no stderr, nobody reads it or a disk is full, the service is ready nevertheless.
"""

import logging
import shlex
from pathlib import Path

from service.streams import STREAMS

log = logging.getLogger("service")


def say_ready(url: str, sample: Path) -> None:
    path = url.removeprefix("unix:")
    if path == url:
        log.info("ready on %s, API at %s/docs; Ctrl-C stops it", url, url)
        option = ""
    else:
        log.info("ready on %s; Ctrl-C stops it", url)
        option, url = f"--unix-socket {shlex.quote(path)} ", "http://localhost"
    for handler in logging.getLogger().handlers:
        handler.flush()  # on a terminal, the command is to come after it
    body = shlex.quote(f"@{sample}")
    command = f"curl {option}-H 'Content-Type: image/png' --data-binary {body} {url}/v1/predict"
    STREAMS.show(f"\n  {command}\n\n")
