"""The server that is measured: one that is started here, on cores of its own, or one that runs.

Of one that is started here CPU time is read from /proc; of both, how many pictures a model call
took, from /metrics, where that is told.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from loadtest import process
from loadtest.capacity.probe import Server
from loadtest.client import LOST, ask_once
from loadtest.errors import CannotMeasure
from loadtest.load import Address
from loadtest.request import get
from loadtest.server import started
from loadtest.targets import Target

BATCHES = "digitserve_batch_size_"  # sum: pictures; count: model calls
CONNECT = 5.0  # seconds


@dataclass(frozen=True)
class Placement:
    """Which core does what."""

    server: tuple[int, ...]  # none: the server is not ours, and its cores are not seen
    generators: tuple[int, ...]  # one for each; several may have to share one

    @classmethod
    def of(cls, *, workers: int, generators: int) -> "Placement":
        """A core for each worker, and the others for the generators, who need at least one."""
        allowed = sorted(os.sched_getaffinity(0))
        server = tuple(allowed[: max(min(workers, len(allowed) - 1), min(workers, 1))])
        others = [core for core in allowed if core not in server] or allowed
        return cls(server, tuple(others[n % len(others)] for n in range(generators)))

    @property
    def shared(self) -> bool:
        return not set(self.server).isdisjoint(self.generators)

    def __str__(self) -> str:
        generators = f"generator on {_named(self.generators)}"
        if not self.server:
            return f"{generators}; the server was running: its cores are not seen"
        shared = ": they share, as this machine has no other" if self.shared else ""
        return f"server on {_named(self.server)}, {generators}{shared}"


class Reading(NamedTuple):
    """Counters that only grow."""

    when: float  # seconds
    cpu: float  # seconds of the server
    busy: float  # seconds of its cores, by everybody
    pictures: float
    calls: float


@dataclass(frozen=True)
class Subject:
    address: Address
    cores: tuple[int, ...] = ()
    pid: int | None = None

    def read(self) -> Reading:
        cpu = process.cpu_seconds(self.pid) if self.pid else 0.0
        busy = sum(map(process.busy_seconds, self.cores))
        return Reading(time.perf_counter(), cpu, busy, *self._batches())

    def between(self, first: Reading, last: Reading, *, shared: bool) -> Server:
        """`shared`: with the generator, so that others cannot be told from it."""
        time_of_cores = (last.when - first.when) * len(self.cores)
        cpu = last.cpu - first.cpu
        others = max(0.0, last.busy - first.busy - cpu)
        calls = last.calls - first.calls
        return Server(
            cpu=cpu / time_of_cores if time_of_cores else None,
            others=others / time_of_cores if time_of_cores and not shared else None,
            batch=(last.pictures - first.pictures) / calls if calls > 0 else None,
        )

    def _batches(self) -> tuple[float, float]:
        """Pictures and model calls, of all workers; nothing where that is not told."""
        try:
            lines = ask_once(self.address, get("/metrics")).body.decode().splitlines()
            told = [line.removeprefix(BATCHES) for line in lines if line.startswith(BATCHES)]
            pictures, calls = (
                sum(float(line.split()[-1]) for line in told if line.startswith(kind))
                for kind in ("sum", "count")
            )
        except LOST:
            return 0.0, 0.0
        return pictures, calls


@contextmanager
def started_here(target: Target, placement: Placement, probe: bytes) -> Iterator[Subject]:
    with started(target.command, target.environment, core=placement.server, probe=probe) as running:
        yield Subject(running.address, placement.server, running.pid)


def elsewhere(url: str) -> Subject:
    """CannotMeasure where nobody listens, or where HTTP is not plain."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise CannotMeasure(f"--url {url}: {error}") from error
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise CannotMeasure(f"--url {url} is not of the form http://host:port")
    try:
        with socket.create_connection((parts.hostname, port), CONNECT) as connection:
            host, port = connection.getpeername()[:2]
            return Subject(Address(host, port))
    except OSError as error:
        raise CannotMeasure(f"--url {url}: nobody listens there: {error}") from error


def _named(cores: tuple[int, ...]) -> str:
    return f"core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"
