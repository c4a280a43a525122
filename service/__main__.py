"""Serve the current model version over HTTP: python -m service --help"""

import logging
import os
import signal
from contextlib import redirect_stderr
from io import StringIO

from contract.errors import StoreError
from service.arguments import parser, unknown_settings, variables_of
from service.errors import CannotStart
from service.lifecycle import leave
from service.settings import Settings
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.logs.setup import start_log
from service.telemetry.logs.streams import STREAMS

log = logging.getLogger("service")


def main(words: list[str] | None = None) -> int:
    # Until the server takes over, a signal just ends it. SIGTERM with a handler of ours: the kernel
    # spares a container's first process what it has none for, and `docker stop` would wait in vain.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    complaint = StringIO()
    try:
        with redirect_stderr(complaint):
            arguments = parser().parse_args(words)
            given = variables_of(arguments)
    finally:
        STREAMS.show(complaint.getvalue())
    try:
        os.environ.update(given)
        settings = Settings.from_environment(flags=given)
    except CannotStart as error:  # there is no log yet
        STREAMS.show("".join(f"service: {line}\n" for line in str(error).splitlines()))
        return 2
    if arguments.check:
        unknown = "".join(f"service: {sentence}\n" for sentence in unknown_settings(os.environ))
        STREAMS.show(f"{unknown}service: the settings are valid\n")
        return 0
    STREAMS.keep_from_libraries()
    log_handler = start_log(settings)
    for sentence in unknown_settings(os.environ):
        log.warning(sentence)
    try:
        _serve(settings, log_handler)
    except (CannotStart, StoreError) as error:
        log.critical("cannot start: %s", error)
        return 2
    return 0


def _serve(settings: Settings, log_handler: AsyncLogHandler) -> None:
    # OpenCV reads this once, when it is loaded: a limit under the one that `decode` checks, for
    # files whose header says one size to us and another to the decoder. The sheet of samples,
    # which is our own, is larger than the smallest that may be set.
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(max(settings.max_pixels, 2**17))
    if settings.workers > 1 or settings.supervise:
        from service.workers.supervisor import serve_together

        serve_together(settings, os.environ.copy(), log_handler)
    else:
        from service.single import serve

        serve(settings, log_handler)


if __name__ == "__main__":
    leave(main())
