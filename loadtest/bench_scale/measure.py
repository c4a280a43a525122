"""Replicas on addresses of their own behind HAProxy with the shipped configuration, and one load.

    client ──► HAProxy ──► 127.0.0.11, 127.0.0.12, ...      one port, a name server with all of them

CPU time is read from /proc before and after the load; it holds also where all share a few cores,
which the throughput does not.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from loadtest.bench.measure import WARM_UP, Tool
from loadtest.client.result import Address, Load
from loadtest.errors import CannotMeasure
from loadtest.host.processes import ROOT
from loadtest.target.name_server import NameServer
from loadtest.target.server import Running, free_port, started
from loadtest.target.targets import Target

CONFIGURATION = ROOT / "deploy/haproxy/haproxy.cfg"
# Otherwise glibc returns the balancer's large buffers to the kernel after each request.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "16777216", "MALLOC_TRIM_THRESHOLD_": "268435456"}
FIRST = 11  # 127.0.0.11 is the first replica


@dataclass(frozen=True)
class Placement:
    """Cores of the replicas, of the balancer and of the client: all of them where there are few."""

    replicas: tuple[int, ...]
    balancer: tuple[int, ...]
    client: tuple[int, ...]

    @classmethod
    def of(cls, cores: Sequence[int], replicas: int) -> "Placement":
        """A core for each replica and one for the balancer; the client gets the others."""
        if len(cores) < replicas + 2:
            return cls(tuple(cores), tuple(cores), tuple(cores))
        return cls(tuple(cores[:replicas]), (cores[replicas],), tuple(cores[replicas + 1 :]))

    @property
    def shared(self) -> bool:
        return self.replicas == self.client

    def of_replica(self, number: int) -> tuple[int, ...]:
        return self.replicas if self.shared else (self.replicas[number],)

    def __str__(self) -> str:
        if self.shared:
            return f"all programs share {len(self.client)} cores"
        return f"a core for each replica and the balancer, {len(self.client)} for the client"


@dataclass(frozen=True)
class Measured:
    replicas: int
    balanced: bool
    load: Load
    replica_cpu: float  # seconds of all replicas, an answer
    balancer_cpu: float  # seconds, an answer
    replica_memory: int  # bytes of a replica, PSS, the mean
    balancer_memory: int


def measure(
    target: Target,
    requests: list[bytes],
    tool: Tool,
    placement: Placement,
    *,
    replicas: int,
    balanced: bool,
    connections: int,
    seconds: float,
) -> Measured:
    """`balanced`: through HAProxy; otherwise directly to the only replica."""
    with ExitStack() as exits:
        port = free_port()
        servers = [
            exits.enter_context(_replica(target, number, port, placement, requests[0]))
            for number in range(replicas)
        ]
        watched = [*servers]
        if balanced:
            watched.append(exits.enter_context(_balancer(servers, placement, requests[0])))
        address = watched[-1].address

        def run(duration: float) -> Load:
            return tool.run_load(address, requests, connections=connections, seconds=duration)

        run(min(WARM_UP, seconds))
        before = [each.cpu.seconds() for each in watched]
        load = run(seconds)
        if load.refused or load.broken:
            raise CannotMeasure(
                f"{load.refused} requests were refused, {load.broken} got no answer"
            )
        cpu = [each.cpu.seconds() - first for each, first in zip(watched, before, strict=True)]
        memory = [each.memory().proportional for each in watched]
    return Measured(
        replicas=replicas,
        balanced=balanced,
        load=load,
        replica_cpu=sum(cpu[:replicas]) / load.answers,
        balancer_cpu=sum(cpu[replicas:]) / load.answers,
        replica_memory=sum(memory[:replicas]) // replicas,
        balancer_memory=sum(memory[replicas:]),
    )


@contextmanager
def _replica(
    target: Target, number: int, port: int, placement: Placement, probe: bytes
) -> Iterator[Running]:
    address = Address(f"127.0.0.{FIRST + number}", port)
    here = target.with_settings(host=address.host)
    with started(here, placement.of_replica(number), probe=probe, address=address) as running:
        yield running


@contextmanager
def _balancer(servers: Sequence[Running], placement: Placement, probe: bytes) -> Iterator[Running]:
    """HAProxy, once it sends requests to the replicas."""
    program = shutil.which("haproxy")
    if not program:
        raise CannotMeasure("there is no haproxy on PATH (Debian: apt install haproxy)")
    addresses = [server.address.host for server in servers]
    words = [program, "-db", "-f", str(CONFIGURATION)]
    address = Address("127.0.0.1", free_port())
    with NameServer("127.0.0.1", 0, addresses).running() as resolver:
        environment = {
            "DIGITSERVE_REPLICAS": f"replicas.bench:{servers[0].address.port}",
            "DIGITSERVE_RESOLVER": f"{resolver.host}:{resolver.port}",
            "DIGITSERVE_BALANCER_BIND": f"{address.host}:{address.port}",
            "DIGITSERVE_EXPORTER_BIND": f"127.0.0.1:{free_port()}",
            **ALLOCATOR,
        }
        haproxy = Target("haproxy", lambda _: words, environment)
        with started(haproxy, placement.balancer, probe=probe, address=address) as running:
            yield running
