"""What is said when the service is ready: where it is, and a command that tries it.

The command is no event of the log: it is for whoever started the service by hand, on stderr. Where
there is no stderr, or no room for it on a full disk, the service is ready nevertheless.
"""

import logging
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

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
    if sys.stderr is not None:  # else print would write it into the log
        with suppress(OSError):  # not print: what it could not write it tries again at the end
            os.write(sys.stderr.fileno(), f"\n  {command}\n\n".encode())
