"""The server that is measured: one that is started here, on cores of its own, or one that runs.

Of one that is started here CPU time is read from /proc; of both, the pictures of a model call from
/metrics, if they are exported.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from loadtest.capacity.probe import Server
from loadtest.client.asyncio_client import LOST, ask_once
from loadtest.client.requests import get
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Placement
from loadtest.host.processes import CpuTime, busy_seconds
from loadtest.target.metrics import Exposition
from loadtest.target.server import started
from loadtest.target.targets import Target

BATCHES = "digitserve_batch_size"  # a histogram of model calls
CONNECT = 5.0  # seconds


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
    cpu: CpuTime | None = None

    def read(self) -> Reading:
        cpu = self.cpu.seconds() if self.cpu else 0.0
        busy = sum(map(busy_seconds, self.cores))
        return Reading(time.perf_counter(), cpu, busy, *self._batches())

    def between(self, first: Reading, last: Reading, *, shared: bool) -> Server:
        """`shared`: with the generator, so that it cannot be distinguished from others."""
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
        """Pictures and model calls, of all workers; 0 where they are not exported."""
        try:
            metrics = Exposition.read(ask_once(self.address, get("/metrics")).body.decode())
        except LOST:
            return 0.0, 0.0
        return metrics.total(f"{BATCHES}_sum"), metrics.total(f"{BATCHES}_count")


@contextmanager
def started_here(target: Target, placement: Placement, probe: bytes) -> Iterator[Subject]:
    with started(target, placement.server, probe=probe) as running:
        yield Subject(running.address, placement.server, running.cpu)


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
