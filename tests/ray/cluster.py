"""A Ray cluster with the service on hosts of its own, started as docs/how-to/ray.md describes.

`make test-ray` installs Ray into .ray/.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import httpx2
import psutil

from loadtest.client.result import Address
from tests.scale.hosts import Host
from tests.scale.processes import PORT
from tests.support.program import Program
from tests.support.running import ROOT, clean_environment
from tests.support.waiting import until

PROGRAMS = ROOT / ".ray/bin"
GCS = 6379  # port of the head node
Request = Callable[..., httpx2.Response]  # of a method, a path and options of httpx2
LONGEST = 300.0  # seconds; a node takes ten, but machines may be busy
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # by default 15: any other program would slow replicas down
    # Ray's own limits are too short for a busy machine.
    "RAY_raylet_start_wait_time_s": "240",
    "RAY_agent_register_timeout_ms": "240000",
}
# A node ends unless its agents have found free ports within 15 s; it does not wait for given ones.
AGENTS = (
    "--dashboard-agent-grpc-port=52364",
    "--dashboard-agent-listen-port=52365",
    "--runtime-env-agent-port=52366",
    "--metrics-export-port=52367",
)


class Node(Program):
    def __init__(self, host: Host, words: Sequence[str], environment: dict[str, str]) -> None:
        super().__init__(
            host.command(str(PROGRAMS / "ray"), "start", "--block", *words),
            folder=ROOT,
            environment=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def hear(self, line: str) -> bool:
        return "Ray runtime started" in line

    def wait_until_ready(self) -> None:
        assert self._settled.wait(LONGEST), self.log
        assert self.process.poll() is None, self.log


class Cluster:
    """The first host is the head node. A replica has the number of its host as its name."""

    def __init__(
        self, hosts: Sequence[Host], models: Path, folder: Path, variables: dict[str, str]
    ) -> None:
        """`folder`: for Ray's files; its path must be short, because sockets are among them."""
        self.hosts, self._folder = hosts, folder
        self._environment = clean_environment() | ENVIRONMENT | variables
        self._environment |= {"PYTHONPATH": str(ROOT), "DIGITSERVE_MODELS": str(models)}
        self._environment |= {"PATH": f"{PROGRAMS}:{self._environment['PATH']}"}
        self.nodes: dict[Host, Node] = {}

    @contextmanager
    def started(self) -> Iterator[Self]:
        try:
            for host in self.hosts:
                self.start(host)
            self.idle = self.memory()
            self._deploy()
            self.wait_until_served()
            yield self
        finally:
            for host in self.nodes:
                self.kill(host)

    def start(self, host: Host) -> None:
        """Start a node and wait until the cluster has it."""
        folder = self._folder / str(host.number)
        words = [f"--node-ip-address={host.address}", f"--temp-dir={folder}"]
        words += ["--object-store-memory=100000000", *AGENTS]
        if host == self.hosts[0]:
            words += ["--head", f"--port={GCS}", "--include-dashboard=false"]
        else:
            words += [f"--address={self.gcs}"]
        own = {"DIGITSERVE_REPLICA": str(host.number)}
        self.nodes[host] = Node(host, words, self._environment | own)
        self.nodes[host].wait_until_ready()

    def kill(self, host: Host) -> None:
        host.kill_programs()
        self.nodes[host].exit_code()

    @property
    def gcs(self) -> str:
        return f"{self.hosts[0].address}:{GCS}"

    def address(self, host: Host) -> Address:
        """Of Ray's proxy on a node."""
        return Address(host.address, PORT)

    @contextmanager
    def client(self, host: Host) -> Iterator[Request]:
        """A function that sends a request to a node's proxy, from the same host."""
        with (
            httpx2.Client(base_url=str(self.address(host)), timeout=LONGEST) as client,
            host.executor() as executor,
        ):
            yield lambda *words, **options: executor.submit(
                client.request, *words, **options
            ).result()

    def wait_until_served(self) -> None:
        """Wait until each node's proxy sends requests to the replica of its node."""
        for host in self.hosts:
            until(partial(self._serves, host), LONGEST)

    def memory(self) -> list[int]:
        """Bytes of all programs of each node, PSS."""
        return [
            sum(psutil.Process(pid).memory_full_info().pss for pid in host.programs)
            for host in self.hosts
        ]

    def _serves(self, host: Host) -> bool:
        try:
            with self.client(host) as request:
                answer = request("GET", "/v1/status")
        except httpx2.TransportError:
            return False
        return answer.status_code == 200 and answer.json()["replica"] == str(host.number)

    def _deploy(self) -> None:
        serve = [str(PROGRAMS / "serve"), "run", "--non-blocking", f"--address={self.gcs}"]
        done = subprocess.run(
            self.hosts[0].command(*serve, "deploy/ray/serve.yaml"),
            cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=LONGEST,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
