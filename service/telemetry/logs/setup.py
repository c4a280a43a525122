"""The log of a process: one event a line, on stdout, from every source.

service, uvicorn, asyncio, warnings --logging--+
native libraries, by `streams` ----------------+
uncaught exceptions ---------------------------+--> AsyncLogHandler --> stdout
finished requests --AccessLog------------------+
"""

import asyncio
import logging
import os
import shlex
import sys
import threading
from pathlib import Path
from typing import Any

from service.settings import Settings
from service.telemetry.logs.format import json_line, text_line
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.streams import STREAMS

log = logging.getLogger("service")


def start_log(settings: Settings, worker: int | None = None) -> AsyncLogHandler:
    """Write everything that this process logs to stdout from now on."""
    stdout = STREAMS.stdout
    on_terminal = stdout is not None and os.isatty(stdout)
    text = settings.log_format == "text" or (settings.log_format == "auto" and on_terminal)
    # Where there is no stdout, its number may soon be a connection's or a file's.
    descriptor = os.open(os.devnull, os.O_WRONLY) if stdout is None else stdout
    log_handler = AsyncLogHandler(text_line if text else json_line, descriptor, worker)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[log_handler])
    # `server` logs its start and end, the access log clients' errors.
    debugging = settings.log_level == "debug"
    logging.getLogger("uvicorn.error").setLevel(logging.DEBUG if debugging else logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = lambda _, error, __: log.critical("ended by an exception", exc_info=error)
    sys.unraisablehook = _could_not_raise
    threading.excepthook = _thread_ended
    return log_handler


def log_errors_of_loop() -> None:
    """Log exceptions that no task and no protocol of the running event loop has caught."""
    asyncio.get_running_loop().set_exception_handler(_uncaught)


def _uncaught(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    # Not asyncio's message: it may quote a call's arguments, such as a request's body.
    what = context["message"] if error is None else "an exception in the event loop was not caught"
    log.error("%s", what, exc_info=error)


def _thread_ended(error: threading.ExceptHookArgs) -> None:
    if error.exc_value is not None and error.exc_type is not SystemExit:
        log.error("a thread ended by an exception", exc_info=error.exc_value)


def _could_not_raise(error: "sys.UnraisableHookArgs") -> None:
    log.error("%s", error.err_msg or "an exception was ignored", exc_info=error.exc_value)


def say_ready(settings: Settings, url: str, sample: Path) -> None:
    """Log where the service listens or is published, and print a command that sends an image to it.

    `sample`: an image to try the service with, which an imported model may not have.
    """
    url = settings.public_url or url
    if url.startswith("unix:"):
        log.info("ready on %s; Ctrl-C stops it", url)
    else:
        log.info("ready on %s, API at %s/docs; Ctrl-C stops it", url, url)
    for handler in logging.getLogger().handlers:
        handler.flush()  # on a terminal, the command is to come after it
    STREAMS.show(f"\n  {_example(settings, url, sample)}\n\n")


def _example(settings: Settings, url: str, sample: Path) -> str:
    """A command for the user's shell; behind a public address, files here may not exist there."""
    option, path = "", url.removeprefix("unix:")
    if path != url:
        option, url = f"--unix-socket {shlex.quote(path)} ", "http://localhost"
    body = shlex.quote(f"@{sample if sample.exists() else 'image.png'}")
    before = ""
    if settings.public_url is not None and sample.exists():
        before = f"curl -s -H 'Accept: image/png' {url}/v1/samples/random | "
        body = "@-"
    post = f"curl {option}-H 'Content-Type: image/png' --data-binary {body} {url}/v1/predict"
    return before + post
