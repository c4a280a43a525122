"""Where the service is in its life: `server` writes it, probes, front and streams read it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


class CannotStart(Exception):
    """Something at start is not what it must be; the message says what and how to mend it."""


@dataclass
class Life:
    began: float = field(default_factory=time.monotonic)  # seconds; the wall clock may be set
    draining: bool = False  # told to stop, still answering
    # Called when that begins, maybe from the middle of anything: by whoever handles a signal.
    when_draining: list[Callable[[], None]] = field(default_factory=list)

    def drain(self) -> None:
        self.draining = True
        for tell in self.when_draining:
            tell()
