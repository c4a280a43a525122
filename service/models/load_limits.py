"""What loading a version may take, in time and memory, before it is given up.

    DIGITSERVE_LOAD_TIMEOUT   seconds, of load, warm-up and golden set together
    DIGITSERVE_LOAD_MEMORY    bytes of resident memory; unset: what is free less MEMORY_RESERVE, at
                              most 1 GiB or four times the version's largest file

On a GPU the libraries alone take more than a model: there 4 GiB take the place of 1 GiB. TensorRT
builds its engines for minutes, and has 10 of them where nothing else is set.

At the start nobody is served yet: a load that takes too much ends the process, with a message. A
child process that tries the version first, as for a switch, would double the time of a start.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from contract.memory import free_memory
from contract.version import Version
from service.engine.providers import to_try
from service.settings import Settings

POLL = 0.02  # seconds between two looks at what is used
PAGE = os.sysconf("SC_PAGE_SIZE")
GIB = 2**30
# A model that takes less than this is loaded even where less than the reserve is free.
LEAST = 256 * 2**20
OF_TENSORRT = 600.0  # seconds


@dataclass(frozen=True)
class LoadLimits:
    seconds: float
    memory: int  # bytes

    @classmethod
    def of(cls, version: Version, settings: Settings, reserve: int) -> Self:
        """`reserve`: bytes that are to stay free, if nothing else is set."""
        seconds = seconds_of(settings)
        if settings.load_memory is not None:
            return cls(seconds, settings.load_memory)
        largest = max((facts.size for facts in version.card.files.values()), default=0)
        most = max(GIB if on_cpu(settings) else 4 * GIB, 4 * largest)
        free = free_memory()
        return cls(seconds, most if free is None else min(most, max(free - reserve, LEAST)))

    def exceeded(self, pid: int, began: float, before: int = 0) -> str | None:
        """What a process takes too much of, in a sentence.

        `began`: on time.monotonic. `before`: bytes that it had before it began to load.
        """
        if time.monotonic() - began > self.seconds:
            return self.too_slow
        return self.too_large if resident(pid) - before > self.memory else None

    @property
    def too_slow(self) -> str:
        return (
            f"it is not loaded and proven within {self.seconds:g} s, the limit of "
            "DIGITSERVE_LOAD_TIMEOUT"
        )

    @property
    def too_large(self) -> str:
        return (
            f"loading it takes more than {self.memory // 2**20} MiB of memory, the limit of "
            "DIGITSERVE_LOAD_MEMORY"
        )


def seconds_of(settings: Settings) -> float:
    """That a load may take."""
    if settings.provider == "tensorrt" and "load_timeout" not in settings.model_fields_set:
        return OF_TENSORRT
    return settings.load_timeout


def on_cpu(settings: Settings) -> bool:
    """Whether nothing of a GPU is loaded."""
    return settings.provider == "cpu" or (
        settings.provider == "auto" and to_try("auto") == ("cpu",)
    )


def resident(pid: int) -> int:
    """Bytes of memory that a process takes; 0 where there is no /proc, as on macOS."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


CANNOT_START = 2  # exit code

log = logging.getLogger("service")


def load_watch(
    report: Callable[[str], None],
) -> Callable[[Version, Settings], AbstractContextManager[None]]:
    """The guard of a load at the start: see `models.loading.load`.

    `report` is called with a sentence before the process ends.
    """

    @contextmanager
    def guard(version: Version, settings: Settings) -> Iterator[None]:
        limits = LoadLimits.of(version, settings, reserve=0)
        done = threading.Event()
        began, pid = time.monotonic(), os.getpid()
        before = resident(pid)

        def watch() -> None:
            while not done.wait(POLL):
                if exceeded := limits.exceeded(pid, began, before):
                    report(f"version {version.number} of {version.card.name}: {exceeded}")
                    logging.shutdown()  # which writes what was logged
                    os._exit(CANNOT_START)

        thread = threading.Thread(target=watch, name="load watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    return guard
