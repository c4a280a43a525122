"""The balancer of deploy/haproxy in front of real replicas, which it finds through DNS.

    client ──► HAProxy ──► 127.0.1.1:port, 127.0.1.2:port, ...
                  └─ DNS ──► NameServer, with the addresses of the replicas

All of 127.0.0.0/8 belongs to this machine (on Linux), so replicas can share one port as on
machines of their own.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx2

from contract.store import Store
from loadtest.client.result import Address
from tests.interop.programs import required
from tests.interop.proxy import free_port
from tests.support import fetch
from tests.support.program import Program
from tests.support.running import TOKEN, Service, wait_until

CONFIGURATION = Path("deploy/haproxy/haproxy.cfg")
NAME = "replicas.test"


class NameServer:
    """A DNS server that answers every question for an IPv4 address with those of the replicas."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        host, port = self._socket.getsockname()
        self.address = f"{host}:{port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(query), client)
            except OSError:  # closed
                return

    def _answer(self, query: bytes) -> bytes:
        """RFC 1035: header, question, and an A record for each address with a lifetime of 1 s."""
        end = query.index(b"\0", 12) + 5  # the name ends with an empty label; type and class follow
        question = query[12:end]
        found = self.addresses if question[-4:-2] == b"\0\1" else ()
        counts = b"\0\1" + len(found).to_bytes(2) + b"\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4"  # the question's name, A, IN, 1 s, 4 bytes
        records = b"".join(record + socket.inet_aton(address) for address in found)
        return query[:2] + b"\x85\x80" + counts + question + records


class Balancer(Program):
    """HAProxy with the configuration of the project."""

    def __init__(self, names: NameServer, replica_port: int, **settings: str) -> None:
        self.port, self.exporter = free_port(), free_port()
        variables = {
            "DIGITSERVE_REPLICAS": f"{NAME}:{replica_port}",
            "DIGITSERVE_RESOLVER": names.address,
            "DIGITSERVE_BALANCER_BIND": f"127.0.0.1:{self.port}",
            "DIGITSERVE_EXPORTER_BIND": f"127.0.0.1:{self.exporter}",
            **settings,
        }
        super().__init__(
            [str(required("haproxy")), "-W", "-db", "-f", str(CONFIGURATION)],
            environment=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self.address = Address("127.0.0.1", self.port)

    def hear(self, line: str) -> bool:
        return False

    def wait_until_ready(self) -> None:
        """It answers once a replica is up."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log
            return self.servers_up() > 0

        wait_until(answers, self)

    def metrics(self) -> dict[str, float]:
        """Its own metrics by name and labels."""
        text = fetch.get(f"http://127.0.0.1:{self.exporter}/metrics").text
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def servers_up(self) -> int:
        """Replicas that receive requests; 0 before the balancer listens."""
        try:
            metrics = self.metrics()
        except httpx2.ConnectError:
            return 0
        return int(metrics['haproxy_backend_active_servers{proxy="replicas"}'])

    def repeated(self) -> int:
        """Requests that were sent once more, to the same or another replica."""
        metrics = self.metrics()
        return int(metrics['haproxy_backend_retry_warnings_total{proxy="replicas"}'])


@dataclass
class Replicas:
    """Services that share a store and a port, each with an address of its own."""

    store: Store
    settings: Mapping[str, object]
    names: NameServer = field(default_factory=NameServer)
    port: int = field(default_factory=free_port)
    running: dict[str, Service] = field(default_factory=dict)  # by address

    @classmethod
    @contextmanager
    def started(cls, store: Store, count: int, **settings: object) -> Iterator[Self]:
        """So many services that are ready; they are stopped with the block."""
        replicas = cls(store, settings)
        try:
            for _ in range(count):
                replicas.add()
            yield replicas
        finally:
            for service in replicas.running.values():
                service.process.kill()
                service.exit_code()
            replicas.names.close()

    def add(self) -> Service:
        host = f"127.0.1.{len(self.running) + 1}"
        service = Service(
            self.store.folder.parent,
            host=host,
            port=self.port,
            admin_token=TOKEN,
            trusted_proxies="127.0.0.1",
            access_log="all",
            **self.settings,
        )
        service.wait_until_ready()
        self.running[host] = service
        self.names.addresses = tuple(self.running)
        return service

    @contextmanager
    def behind(self, **settings: str) -> Iterator[Balancer]:
        """A balancer that sends requests to all of them."""
        with Balancer(self.names, self.port, **settings).while_ready() as balancer:
            wait_until(lambda: balancer.servers_up() == len(self.running), balancer)
            yield balancer
