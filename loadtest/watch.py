"""A running service, looked at once a second while something asks it: `with watched(...) as looks`.

    GET /metrics       what the service counts, over one connection that is kept, as Prometheus does
    /proc, if it is    memory, descriptors, threads and CPU time of the service and its children;
    on this machine    CPU time of those who ask, and of cores, whoever takes it

`looks` grows while the block runs, from the first look, when it begins, to the last, when it has
ended. A look that failed says why, and never ends anything.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from loadtest import process
from loadtest.exposition import Exposition

METRICS = "/metrics"
EVERY = 1.0  # seconds
# Seconds between two looks at PSS: the kernel walks every page for it.
PROPORTIONAL_EVERY = 10.0
PATIENCE = 5.0  # seconds for /metrics
SHARED = 0.1  # seconds in which the service answers scrapes with the same text


@dataclass(frozen=True)
class Use:
    """What a process and its children hold, and what they have taken since they began."""

    processes: int
    cpu: float  # seconds
    resident: int  # bytes, RSS, summed
    proportional: int  # bytes, PSS, summed, as last looked at
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Look:
    at: float  # seconds since the first look began
    took: float  # seconds, GET /metrics
    metrics: Exposition | None  # None: not told
    lost: str  # why not
    service: Use | None  # None: not on this machine, or gone
    generator_cpu: float  # seconds since it began, with its children
    busy: float = 0.0  # seconds that everybody took of the cores that are watched


@contextmanager
def watched(
    url: str,
    *,
    service: int | None = None,
    generator: int | None = None,
    cores: Sequence[int] = (),
    every: float = EVERY,
) -> Iterator[list[Look]]:
    """The looks at the service on `url`; `service` and `generator` are the ids of processes."""
    watcher = _Watcher(url, service, generator, cores)
    looks = [watcher.look()]
    done = threading.Event()

    def look_on() -> None:
        number = 1
        while not done.wait(max(0.0, watcher.began + number * every - time.perf_counter())):
            looks.append(watcher.look())
            # One that took long is not made up for.
            number = max(number + 1, int((time.perf_counter() - watcher.began) / every) + 1)

    thread = threading.Thread(target=look_on, name="watch")
    thread.start()
    try:
        yield looks
    finally:
        done.set()
        thread.join()
        time.sleep(max(0.0, watcher.looked + SHARED - time.perf_counter()))
        looks.append(watcher.look())
        watcher.close()


class _Watcher:
    def __init__(
        self, url: str, service: int | None, generator: int | None, cores: Sequence[int]
    ) -> None:
        address = urlsplit(url)
        connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
        self._connection = connect(address.hostname or "", address.port, timeout=PATIENCE)
        self._path = address.path.rstrip("/") + METRICS
        self._service, self._generator, self._cores = service, generator, cores
        self._proportional, self._proportional_at = 0, -PROPORTIONAL_EVERY
        self.began = self.looked = time.perf_counter()  # `looked`: last, at /metrics

    def look(self) -> Look:
        at = time.perf_counter() - self.began
        metrics, lost = self._metrics()
        self.looked = time.perf_counter()
        took = self.looked - self.began - at
        return Look(
            at=at,
            took=took,
            metrics=metrics,
            lost=lost,
            service=self._use(at),
            generator_cpu=process.cpu_seconds(self._generator) if self._generator else 0.0,
            busy=sum(map(process.busy_seconds, self._cores)),
        )

    def close(self) -> None:
        self._connection.close()

    def _metrics(self) -> tuple[Exposition | None, str]:
        """What was told, or why nothing."""
        try:
            self._connection.request("GET", self._path)
            answer = self._connection.getresponse()
            text = answer.read().decode()
            if answer.status == 200:
                return Exposition.read(text), ""
            return None, f"{self._path} answered {answer.status}"
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()  # the next look connects anew
            return None, f"{self._path}: {error!r}"

    def _use(self, at: float) -> Use | None:
        pid = self._service
        if pid is None or not (processes := len(list(process.tree(pid)))):
            return None
        if at - self._proportional_at >= PROPORTIONAL_EVERY:
            self._proportional = process.memory(pid).proportional
            self._proportional_at = at
        return Use(
            processes=processes,
            cpu=process.cpu_seconds(pid),
            resident=process.resident(pid),
            proportional=self._proportional,
            descriptors=process.descriptors(pid),
            threads=process.threads(pid),
        )
