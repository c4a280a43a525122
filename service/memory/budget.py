"""What all processes of the service may take of memory together, from their settings, whether
that fits, and whether enough is left to load another model.

A worker takes its process and its model, MAX_BUFFERED for what it receives and has not sent,
MAX_DECODING for images, MAX_QUEUE_BYTES for those that are prepared, and a process beside it in
which a version is loaded and proven.
"""

import logging
from functools import cache
from typing import NamedTuple, Self

from contract.memory import free_memory, memory_limit
from service.settings import PREFIX, Settings

MIB = 2**20
# Measured with the default network; larger ones add their weights.
PROCESS = 120 * MIB
JOBS = 40 * MIB  # the packages for the database of retraining jobs
LOADING = 128 * MIB  # a process that loads a version, and the version
SUPERVISOR = 40 * MIB

_limit = cache(memory_limit)  # it is not looked up again with each /v1/status
log = logging.getLogger("service")


class MemoryBudget(NamedTuple):
    workers: int
    buffered: int  # bytes of a worker, as all below
    decoding: int
    images: int  # prepared ones: in the queue, on their way to it, or compared
    process: int  # with its model and the packages that the settings need
    limit: int | None  # bytes: of the cgroup, or of the machine; None: it cannot be read

    @classmethod
    def of(cls, settings: Settings, image: int | None) -> Self:
        """`image`: the bytes of one, as the model takes it; None: it is not known."""
        queue = settings.max_queue_bytes
        if image is not None:
            batch = settings.max_batch * image  # which always fits
            queue = min(settings.max_queue * image, max(queue, batch))
        images = queue + 2 * settings.max_request_bytes
        process = PROCESS + (JOBS if settings.jobs else 0)
        buffered, decoding = settings.max_buffered, settings.max_decoding
        return cls(settings.workers, buffered, decoding, images, process, _limit())

    @property
    def total(self) -> int:
        """Bytes."""
        supervisor = SUPERVISOR if self.workers > 1 else 0
        worker = self.process + LOADING + self.buffered + self.decoding + self.images
        return supervisor + self.workers * worker

    @property
    def fits(self) -> bool:
        return self.limit is None or self.total <= self.limit

    def log(self) -> None:
        """Say the sum, and warn where it does not fit."""
        sentence = (
            f"memory: at most {_mib(self.total)} = {self.workers} x ("
            f"{_mib(self.process)} process + "
            f"{_mib(self.buffered)} {PREFIX}MAX_BUFFERED + "
            f"{_mib(self.decoding)} {PREFIX}MAX_DECODING + "
            f"{_mib(self.images)} {PREFIX}MAX_QUEUE_BYTES + "
            f"{_mib(LOADING)} to load a version)"
        )
        if self.workers > 1:
            sentence += f" + {_mib(SUPERVISOR)} supervisor"
        if self.limit is None:
            log.info("%s; how much there is cannot be read", sentence)
        elif self.fits:
            log.info("%s, of %s", sentence, _mib(self.limit))
        else:
            log.warning(
                "%s, and there are only %s: lower %sMAX_DECODING, %sMAX_BUFFERED, "
                "%sMAX_QUEUE_BYTES%s, or give it more memory",
                sentence,
                _mib(self.limit),
                PREFIX,
                PREFIX,
                PREFIX,
                f" or {PREFIX}WORKERS" if self.workers > 1 else "",
            )


def shortage(reserve: int) -> str | None:
    """Why nothing more is loaded, and what can be is unloaded; None: `reserve` bytes are free."""
    free = free_memory()
    if free is None or free >= reserve:
        return None
    return (
        f"{free // MIB} MiB of memory are free, DIGITSERVE_MEMORY_RESERVE asks for "
        f"{reserve // MIB} MiB"
    )


def _mib(size: int) -> str:
    return f"{size // MIB:,} MiB"
