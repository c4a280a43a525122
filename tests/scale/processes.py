"""Replicas and a balancer as plain processes, each on a host of its own."""

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import httpx2

from loadtest.bench_scale.measure import ALLOCATOR
from loadtest.client.result import Address
from loadtest.target.name_server import NameServer
from tests.scale.hosts import Host
from tests.scale.load import Client
from tests.support.program import PATIENCE, Program
from tests.support.running import PLAIN, ROOT, Service, clean_environment

PORT = 8000  # of a replica, and of the balancer
BALANCER = Path("deploy/haproxy/haproxy.cfg")
EXPORTER = 8405  # of the balancer
ACTIVE = re.compile(r"^haproxy_backend_active_servers{.*} (\d+)$", re.MULTILINE)


class Replica(Service):
    def __init__(self, host: Host, models: Path | str, **settings: object) -> None:
        self.command = host.command(*PLAIN)
        super().__init__(models, host=host.address, port=PORT, **settings)


class Balancer(Program):
    def __init__(self, host: Host, resolver: Address) -> None:
        program = shutil.which("haproxy")
        assert program, "these tests need HAProxy (Debian: apt install haproxy)"
        environment = {
            "DIGITSERVE_REPLICAS": f"service.test:{PORT}",
            "DIGITSERVE_RESOLVER": f"{resolver.host}:{resolver.port}",
        }
        super().__init__(
            host.command(program, "-db", "-f", str(BALANCER)),
            folder=ROOT,
            environment=clean_environment() | ALLOCATOR | environment,
        )

    def wait_until_ready(self) -> None:
        """`wait_until_balanced` does."""

    def hear(self, line: str) -> bool:
        return False


@contextmanager
def balancer(front: Host, hosts: Sequence[Host]) -> Iterator[Balancer]:
    """A balancer on the host `front`, and a name server for it that knows the other hosts."""
    addresses = [host.address for host in hosts]
    with front.executor() as executor:
        server = executor.submit(NameServer, front.address, 53, addresses).result()
    with server.running() as resolver, Balancer(front, resolver).while_ready() as started:
        yield started


def wait_until_balanced(client: Client, replicas: int, why: Callable[[], object]) -> None:
    """Wait until the balancer at the client's address sends requests to so many replicas."""
    exporter = Address(client.address.host, EXPORTER)

    def active() -> list[str]:
        with suppress(httpx2.TransportError):  # it starts
            return ACTIVE.findall(client.get("/metrics", exporter).text)
        return []

    end = time.monotonic() + PATIENCE
    while active() != [str(replicas)]:
        assert time.monotonic() < end, why()
        time.sleep(0.1)


class Fleet:
    """A replica on each host, and a balancer on another one, from which clients send too."""

    def __init__(
        self, hosts: list[Host], front: Host, models: Path | str, caches: Path, **settings: object
    ) -> None:
        """`caches`: a folder in which each replica keeps a copy of a store in a bucket."""
        self.hosts, self.front = hosts, front
        self._models, self._caches, self._settings = models, caches, settings
        self.replicas: dict[Host, Replica] = {}

    @contextmanager
    def started(self) -> Iterator[Self]:
        with ExitStack() as exits:
            exits.callback(self._kill_all)
            for host in self.hosts:
                self._begin(host)
            for replica in self.replicas.values():
                replica.wait_until_ready()
            # Later, because a balancer assumes of each new replica that it is ready.
            self.balancer = exits.enter_context(balancer(self.front, self.hosts))
            yield self

    @property
    def address(self) -> Address:
        return Address(self.front.address, PORT)

    def start(self, host: Host) -> None:
        """Start a replica and wait until it is ready."""
        self._begin(host)
        self.replicas[host].wait_until_ready()

    def stop(self, host: Host, sig: signal.Signals) -> None:
        """Send a signal to a replica and wait until it has ended."""
        self.replicas[host].send(sig)
        self.replicas[host].exit_code()

    @property
    def logs(self) -> str:
        return "\n".join(each.log for each in (self.balancer, *self.replicas.values()))

    def _begin(self, host: Host) -> None:
        cache = self._caches / str(host.number)
        self.replicas[host] = Replica(host, self._models, models_cache=cache, **self._settings)

    def _kill_all(self) -> None:
        for replica in self.replicas.values():
            replica.process.kill()
            replica.exit_code()


def wait_until_served(version: str, fleet: Fleet, client: Client) -> None:
    """Wait until each replica serves the version."""
    addresses = [Address(host.address, PORT) for host in fleet.hosts]
    end = time.monotonic() + PATIENCE
    while True:
        states = [client.get("/v1/status", address).json() for address in addresses]
        if all(state["model"]["version"] == version for state in states):
            return
        assert time.monotonic() < end, [state["last_swap"] for state in states]
        time.sleep(0.1)
