"""A running service, observed once a second under load: `with monitored(...) as observations`.

    GET /metrics       what the service counts, over one connection that is kept, as Prometheus does
    /proc, if it is    memory, descriptors, threads and CPU time of the service and its children;
    on this machine    CPU time of the load generator

`observations` grows while the block runs, from the first one, when the block begins, to the last,
when it has ended. An observation that fails holds the reason, and raises nothing.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Self
from urllib.parse import urlsplit

from loadtest.client.requests import PREDICT
from loadtest.host import processes
from loadtest.target.metrics import Exposition

METRICS = "/metrics"
PREFIX = "digitserve_"
REQUESTS = f"{PREFIX}http_requests_total"
DURATION = f"{PREFIX}http_request_duration_seconds"
EVERY = 1.0  # seconds
PROPORTIONAL_EVERY = 10.0  # seconds between two readings of PSS: the kernel walks every page for it
PATIENCE = 5.0  # seconds for /metrics
SHARED = 0.1  # seconds in which the service answers scrapes with the same text


@dataclass(frozen=True)
class Use:
    """What a process and its children hold, and what they have taken since they began."""

    processes: int  # 0: they have ended, and hold nothing
    cpu: float  # seconds
    resident: int  # bytes, RSS, summed
    proportional: int  # bytes, PSS, summed, as last read
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Observation:
    at: float  # seconds since the first observation began
    took: float  # seconds, GET /metrics
    metrics: Exposition | None  # None: there was no answer
    error: str  # why not
    service: Use | None  # None: not on this machine
    generator_cpu: float  # seconds since it began, with its children


@dataclass(frozen=True)
class Period:
    """What the service did between two observations, and what it held at the end.

    What is read from /proc is 0 where the service runs on another machine.
    """

    at: float  # seconds since the first observation, at its end
    seconds: float
    resident: int  # bytes, RSS, at its end
    proportional: int  # bytes, PSS
    descriptors: int
    threads: int
    cpu: float  # cores that the service took
    generator: float  # cores that the generator took
    answers: int
    failed: int  # of the answers: status 5xx
    shed: int  # requests that were refused or given up on
    p50: float  # seconds of a POST /v1/predict, as the service counts; 0: there was none
    p99: float
    batch: float  # images of a model call, mean
    queue: float  # images waiting for the model, mean over time

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @classmethod
    def between(cls, before: Observation, now: Observation) -> Self | None:
        """None where one of the two has no metrics."""
        if before.metrics is None or now.metrics is None or now.at <= before.at:
            return None
        counted, seconds = now.metrics.since(before.metrics), now.at - before.at
        codes, use = counted.by(REQUESTS, "code"), now.service or Use(0, 0.0, 0, 0, 0, 0)
        return cls(
            at=now.at,
            seconds=seconds,
            resident=use.resident,
            proportional=use.proportional,
            descriptors=use.descriptors,
            threads=use.threads,
            cpu=(use.cpu - before.service.cpu) / seconds if before.service else 0.0,
            generator=(now.generator_cpu - before.generator_cpu) / seconds,
            answers=round(sum(codes.values())),
            failed=round(sum(number for code, number in codes.items() if code.startswith("5"))),
            shed=round(counted.total(f"{PREFIX}shed_total")),
            p50=counted.quantile(DURATION, 0.50, route=PREDICT),
            p99=counted.quantile(DURATION, 0.99, route=PREDICT),
            batch=counted.mean(f"{PREFIX}batch_size"),
            # Little's law. The gauge misses all that comes and goes between two scrapes.
            queue=counted.total(f"{PREFIX}queue_wait_seconds_sum") / seconds,
        )


@contextmanager
def monitored(
    url: str, *, service: int | None = None, generator: int | None = None, every: float = EVERY
) -> Iterator[list[Observation]]:
    """Observe the service on `url`; `service` and `generator` are the ids of processes."""
    monitor = _Monitor(url, service, generator)
    observations = [monitor.observe()]
    done = threading.Event()

    def run() -> None:
        number = 1
        while not done.wait(max(0.0, monitor.began + number * every - time.perf_counter())):
            observations.append(monitor.observe())
            # After one that took long, those that were due meanwhile are skipped.
            number = max(number + 1, int((time.perf_counter() - monitor.began) / every) + 1)

    thread = threading.Thread(target=run, name="monitor")
    thread.start()
    try:
        yield observations
    finally:
        done.set()
        thread.join()
        time.sleep(max(0.0, monitor.scraped + SHARED - time.perf_counter()))
        observations.append(monitor.observe())
        monitor.close()


class _Monitor:
    def __init__(self, url: str, service: int | None, generator: int | None) -> None:
        address = urlsplit(url)
        connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
        self._connection = connect(address.hostname or "", address.port, timeout=PATIENCE)
        self._path = address.path.rstrip("/") + METRICS
        self._service_cpu = processes.CpuTime(service) if service else None
        self._generator_cpu = processes.CpuTime(generator) if generator else None
        self._proportional, self._proportional_at = 0, -PROPORTIONAL_EVERY
        self.began = self.scraped = time.perf_counter()  # `scraped`: when /metrics was last read

    def observe(self) -> Observation:
        at = time.perf_counter() - self.began
        metrics, error = self._metrics()
        self.scraped = time.perf_counter()
        return Observation(
            at=at,
            took=self.scraped - self.began - at,
            metrics=metrics,
            error=error,
            service=self._use(self._service_cpu, at) if self._service_cpu else None,
            generator_cpu=self._generator_cpu.seconds() if self._generator_cpu else 0.0,
        )

    def close(self) -> None:
        self._connection.close()

    def _metrics(self) -> tuple[Exposition | None, str]:
        """The metrics, or why there are none."""
        try:
            self._connection.request("GET", self._path)
            answer = self._connection.getresponse()
            text = answer.read().decode()
            if answer.status == 200:
                return Exposition.read(text), ""
            return None, f"{self._path} answered {answer.status}"
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()  # the next observation connects anew
            return None, f"{self._path}: {error!r}"

    def _use(self, cpu: processes.CpuTime, at: float) -> Use:
        if at - self._proportional_at >= PROPORTIONAL_EVERY:
            self._proportional = processes.memory(cpu.pid).proportional
            self._proportional_at = at
        return Use(
            processes=len(processes.tree(cpu.pid)),
            cpu=cpu.seconds(),
            resident=processes.resident(cpu.pid),
            proportional=self._proportional,
            descriptors=processes.descriptors(cpu.pid),
            threads=processes.threads(cpu.pid),
        )
