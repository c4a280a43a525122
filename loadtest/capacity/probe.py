"""A probe: a server gets one rate of requests for some seconds, and its answers are counted.

The server is started here, on cores of its own, or runs already. The CPU time of one that is
started here is read from /proc; the images of a model call are read from /metrics, if exported.
"""

import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from loadtest.client.asyncio_client import LOST, send_once
from loadtest.client.openloop.generator import PATIENCE
from loadtest.client.openloop.processes import LoadSpec, run_processes
from loadtest.client.openloop.result import Outcomes
from loadtest.client.requests import ExpectedRequest, get
from loadtest.client.result import Address, quantile
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Placement
from loadtest.host.processes import CpuTime, busy_seconds
from loadtest.report.slo import Slo, shown_fraction, shown_seconds
from loadtest.target.metrics import Exposition
from loadtest.target.server import started
from loadtest.target.targets import Target

BUSY = 0.9  # share of its core; above it a generator is the bottleneck
LATE = 0.1  # of the SLO's p99; above it the generator's own lateness counts
DISTURBED = 0.05  # share of the server's core that other programs took, above which it is printed
BATCHES = "digitserve_batch_size"  # a histogram of model calls
CONNECT = 5.0  # seconds
RECOVERY = 30.0  # seconds in which a server must answer again after it was overloaded
PROMPT = 0.1  # seconds of an answer that shows that it does, if less was promised


@dataclass(frozen=True)
class Plan:
    slo: Slo
    seconds: float  # of a probe
    warm_up: float  # seconds before them, at the same rate, that do not count
    connections: int  # of each generator, at most
    placement: Placement


@dataclass(frozen=True)
class Server:
    """What the server did during a probe; None: it could not be observed."""

    cpu: float | None  # share of its cores
    others: float | None  # share of its cores that other programs took
    batch: float | None  # images of a model call, the mean


@dataclass(frozen=True)
class Probe:
    rate: float  # requests a second that were offered
    requests: int
    p50: float  # seconds from when they were due; inf: no answer came
    p99: float
    p999: float
    refused: int  # answered, but not with 200
    wrong: int  # answered with another digit
    unanswered: int
    broken: dict[str, int]  # connections lost with a request on them, by reason; warm-up included
    generator_cpu: float  # of the busiest core, the share that its generators took
    late: float  # seconds, p99, by which the generator got to a request after it was due
    server: Server
    errors: float  # fraction

    @classmethod
    def of(
        cls,
        rate: float,
        outcomes: Outcomes,
        server: Server,
        *,
        warm_up: float,
        cores: Sequence[int],
    ) -> Self:
        """`cores`: of the generators, in the order of their outcomes."""
        counted = outcomes.since(warm_up)
        p50, p99, p999 = (
            quantile(counted.latencies, q, empty=math.inf) for q in (0.5, 0.99, 0.999)
        )
        shares = list(zip(cores, outcomes.cpu, strict=True))
        return cls(
            rate=rate,
            requests=counted.requests,
            p50=p50,
            p99=p99,
            p999=p999,
            refused=counted.refused,
            wrong=counted.wrong,
            unanswered=counted.unanswered,
            broken=dict(counted.broken),
            generator_cpu=max(sum(cpu for core, cpu in shares if core == each) for each in cores),
            late=counted.late,
            server=server,
            errors=counted.errors,
        )

    def holds(self, slo: Slo) -> bool:
        return slo.holds(p99=self.p99, errors=self.errors) and not self.bound(slo)

    def bound(self, slo: Slo) -> str:
        """Why the generator was the bottleneck and not the service; empty if it was not."""
        if self.generator_cpu > BUSY:
            return f"the generator took {self.generator_cpu:.0%} of its core"
        if self.late > LATE * slo.p99:
            return f"the generator was {shown_seconds(self.late)} late (p99)"
        return ""

    def line(self, slo: Slo) -> str:
        """The line that is printed after the probe."""
        verdict = "; ".join(slo.broken(p99=self.p99, errors=self.errors)) or "holds"
        if bound := self.bound(slo):
            verdict = f"does not count: {bound}"
        if (others := self.server.others or 0.0) > DISTURBED:
            verdict += f" (others took {others:.0%} of the server's core)"
        server = "unknown" if self.server.cpu is None else f"{self.server.cpu:.0%}"
        return (
            f"{self.rate:>9,.0f}/s  p50 {shown_seconds(self.p50):>8}  "
            f"p99 {shown_seconds(self.p99):>8}  errors {shown_fraction(self.errors):>8}  "
            f"server {server:>4}  generator {self.generator_cpu:>4.0%}  {verdict}"
        )


class Reading(NamedTuple):
    """Counters of a server, which only grow."""

    when: float  # seconds
    cpu: float  # seconds of the server
    busy: float  # seconds of its cores, by all programs
    images: float
    calls: float


@dataclass(frozen=True)
class Subject:
    """The server that is measured."""

    address: Address
    cores: tuple[int, ...] = ()
    cpu: CpuTime | None = None

    def read(self) -> Reading:
        cpu = self.cpu.seconds() if self.cpu else 0.0
        busy = sum(map(busy_seconds, self.cores))
        try:
            metrics = Exposition.read(send_once(self.address, get("/metrics")).body.decode())
        except LOST:
            metrics = Exposition({})
        images, calls = (metrics.total(f"{BATCHES}_{part}") for part in ("sum", "count"))
        return Reading(time.perf_counter(), cpu, busy, images, calls)

    def since(self, first: Reading, *, shared: bool) -> Server:
        """`shared`: with the generator, which then counts as other programs would."""
        last = self.read()
        time_of_cores = (last.when - first.when) * len(self.cores)
        cpu = last.cpu - first.cpu
        others = max(0.0, last.busy - first.busy - cpu)
        calls = last.calls - first.calls
        return Server(
            cpu=cpu / time_of_cores if time_of_cores else None,
            others=others / time_of_cores if time_of_cores and not shared else None,
            batch=(last.images - first.images) / calls if calls > 0 else None,
        )


@contextmanager
def subject_of(
    url: str | None, target: Target, placement: Placement, probe: bytes
) -> Iterator[Subject]:
    """The server at `url`, or the target, which is then started on its cores."""
    if url:
        yield _elsewhere(url)
        return
    with started(target, placement.server, probe=probe) as running:
        yield Subject(running.address, placement.server, running.cpu)


def _elsewhere(url: str) -> Subject:
    """CannotMeasure where nothing listens, or where the address is not of plain HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise CannotMeasure(f"--url {url}: {error}") from error
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise CannotMeasure(f"--url {url} is not of the form http://host:port")
    try:
        with socket.create_connection((parts.hostname, port), CONNECT) as connection:
            return Subject(Address(*connection.getpeername()[:2]))
    except OSError as error:
        raise CannotMeasure(f"--url {url}: nothing listens there: {error}") from error


def prober(
    subject: Subject, requests: Sequence[ExpectedRequest], plan: Plan, seeds: Callable[[], int]
) -> Callable[[float], Probe]:
    """A function that makes a probe, prints its line, and lets the server recover if it failed.

    Every probe draws its arrivals from the next of the seeds, and begins with as many connections
    as are busy when each request takes the promised p99.
    """
    generators = plan.placement.generators

    def probe(rate: float) -> Probe:
        spec = LoadSpec(
            subject.address,
            requests,
            rate,
            plan.warm_up + plan.seconds,
            (seeds(),),
            plan.connections,
            math.ceil(rate * plan.slo.p99 / len(generators)),
            max(PATIENCE, plan.slo.p99),
        )
        first: list[Reading] = []  # once the connections are ready: each took a call of its own
        outcomes = run_processes(spec, generators, lambda: first.append(subject.read()))
        server = subject.since(first[0], shared=plan.placement.shared)
        done = Probe.of(rate, outcomes, server, warm_up=plan.warm_up, cores=generators)
        print(done.line(plan.slo), flush=True)
        if not done.holds(plan.slo):
            _wait_until_recovered(subject, requests[0], plan.slo)
        return done

    return probe


def _wait_until_recovered(subject: Subject, request: ExpectedRequest, slo: Slo) -> None:
    """Wait until one request is answered promptly."""
    end = time.monotonic() + RECOVERY
    last = "no answer"
    while (began := time.monotonic()) < end:
        try:
            status = send_once(subject.address, request.data).status
            took = time.monotonic() - began
            if status == 200 and took <= max(slo.p99, PROMPT):
                return
            last = f"status {status} after {took:.3f} s"
        except LOST as error:
            last = repr(error)
        time.sleep(0.05)
    raise CannotMeasure(f"{subject.address} did not recover within {RECOVERY:.0f} s: {last}")
