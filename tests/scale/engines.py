"""A Docker engine on each host, and a swarm of them all.

Each engine has its data, its sockets and its cgroup to itself, and nothing in common with the
machine's own engine, from which it gets the images.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.docker.engine import run
from tests.scale.hosts import Host, kill

STARTED, ENDED = 60.0, 10.0  # seconds
CGROUPS = Path("/sys/fs/cgroup")


class Engine:
    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        # A path in the folder of the test would be too long for a socket.
        self.execution = Path("/run", host.namespace)
        self.log = folder / "dockerd.log"
        folder.mkdir(parents=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                host.command(
                    "dockerd",
                    f"--data-root={folder / 'data'}",
                    f"--exec-root={self.execution}",
                    f"--host={self.socket}",
                    f"--pidfile={folder / 'pid'}",
                    f"--cgroup-parent=/{host.namespace}",
                ),
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which stop it
            )

    @property
    def socket(self) -> str:
        return f"unix://{self.execution}.sock"

    def docker(self, *words: str, env: dict[str, str] | None = None) -> str:
        return run("docker", f"--host={self.socket}", *words, env=env).strip()

    def inspect(self, name: str) -> Any:
        return json.loads(self.docker("inspect", name))[0]

    def containers(self, service: str) -> list[str]:
        """The running containers of a service on this engine."""
        found = self.docker("ps", "--quiet", f"--filter=name={service}.")
        return found.split()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + STARTED
        while True:
            with suppress(AssertionError):
                self.docker("info")
                return
            alive = self.process.poll() is None and time.monotonic() < end
            assert alive, f"the engine does not start: {self.log.read_text()[-2000:]}"
            time.sleep(0.2)

    def load(self, archive: Path) -> None:
        """Once it is ready, give it the images of an archive."""
        self.wait_until_ready()
        self.docker("load", "--quiet", f"--input={archive}")

    def stop(self) -> None:
        """Kill it with all of its containers, and remove its data.

        In a swarm that loses one manager after the other an orderly end takes minutes.
        """
        self.host.kill_programs()
        self.process.wait()
        self._remove_control_groups()
        for mount in _mounts_under(self.folder, self.execution):
            subprocess.run(["umount", "--lazy", mount], check=False)
        # 60,000 files, for which Python takes minutes.
        subprocess.run(["rm", "-rf", self.folder, self.execution], check=False)
        Path(f"{self.execution}.sock").unlink(missing_ok=True)

    def _remove_control_groups(self) -> None:
        """With what is left of containers in them."""
        end = time.monotonic() + ENDED
        while (groups := [*CGROUPS.glob(f"*/{self.host.namespace}")]) and time.monotonic() < end:
            for group in groups:
                for procs in group.rglob("cgroup.procs"):
                    for pid in procs.read_text().split():
                        if pid != "0":  # of another namespace
                            kill(int(pid))
                for folder in [*sorted(group.rglob("*/"), reverse=True), group]:
                    with suppress(OSError):  # a process in it still ends
                        folder.rmdir()


class Swarm:
    """The engines as one swarm. All are managers but the last, which is for balancers."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines
        self.first, last = engines[0], engines[-1]
        advertise = f"--advertise-addr={self.first.host.address}"
        self.first.docker("swarm", "init", advertise)
        for engine in engines[1:]:
            kind = "worker" if engine is last else "manager"
            token = self.first.docker("swarm", "join-token", "--quiet", kind)
            where = f"--advertise-addr={engine.host.address}"
            engine.docker("swarm", "join", where, "--token", token, self.first.host.address)
        node = last.docker("info", "--format={{.Swarm.NodeID}}")
        self.first.docker("node", "update", "--label-add=digitserve.balancer=true", node)

    @property
    def leader(self) -> Engine:
        """The manager that decides."""
        leads = ("node", "inspect", "--format={{.ManagerStatus.Leader}}", "self")
        return next(each for each in self.engines[:-1] if each.docker(*leads) == "true")

    def containers(self, service: str) -> dict[str, Engine]:
        """The running containers of a service, and where each is."""
        return {
            container: engine for engine in self.engines for container in engine.containers(service)
        }


@contextmanager
def engines(hosts: Sequence[Host], folder: Path, images: Sequence[str]) -> Iterator[list[Engine]]:
    """An engine on each host, with these images of the machine's engine."""
    archive = folder / "images.tar"
    with ExitStack() as exits:
        started: list[Engine] = []
        threads = exits.enter_context(ThreadPoolExecutor())
        exits.callback(lambda: list(threads.map(Engine.stop, started)))
        exits.callback(archive.unlink, missing_ok=True)
        for host in hosts:
            started.append(Engine(host, folder / host.namespace))
        run("docker", "save", f"--output={archive}", *images)
        list(threads.map(lambda engine: engine.load(archive), started))
        yield started


def _mounts_under(*folders: Path) -> list[str]:
    """Innermost first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [point for point in points if any(Path(point).is_relative_to(f) for f in folders)]
    return sorted(inside, key=len, reverse=True)
