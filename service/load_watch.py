"""At the start nobody is served yet: a load that takes too much ends the process, which says why.

A child process that tries the version first, as for a switch, would double the time of a start.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contract.version import Version
from service.load_limits import POLL, LoadLimits, resident
from service.settings import Settings

CANNOT_START = 2  # exit code

log = logging.getLogger("service")


class LoadWatch:
    """The guard of a load at the start: see `service.model.load`."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` is called with a sentence before the process ends."""
        self._report = report

    @contextmanager
    def __call__(self, version: Version, settings: Settings) -> Iterator[None]:
        limits = LoadLimits.of(version, settings, reserve=0)
        done = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=[version, limits, done], name="load watch", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _watch(self, version: Version, limits: LoadLimits, done: threading.Event) -> None:
        began, pid = time.monotonic(), os.getpid()
        before = resident(pid)
        while not done.wait(POLL):
            if exceeded := limits.exceeded(pid, began, before):
                self._report(f"version {version.number} of {version.card.name}: {exceeded}")
                logging.shutdown()  # which writes what was logged
                os._exit(CANNOT_START)
