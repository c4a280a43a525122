"""Several hosts on this machine: network namespaces on one switch, each with an address of its own.

    10.77.0.1   10.77.0.2   10.77.0.3   ...   10.77.0.9      hosts
        └───────────┴───────────┴───────────────┘           one bridge in a namespace of its own

A program runs on a host through `Host.command`; a function of this process through
`Host.executor`. Nothing outside is reachable from a host. Needs root, iproute2 and util-linux.
"""

import ctypes
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = Path("/run/netns")
NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET
OURS = re.compile(r"digitserve-(\d+)-[\w-]+")  # the process that made it


@dataclass(frozen=True)
class Host:
    number: int
    namespace: str
    switch: str  # namespace

    @property
    def address(self) -> str:
        return f"10.77.0.{self.number}"

    def command(self, *words: str) -> list[str]:
        """The words that run a program on this host.

        `ip netns exec` would mount another /sys, in which a Docker engine finds no cgroups.
        """
        return ["nsenter", f"--net={NAMESPACES / self.namespace}", *words]

    def executor(self) -> ThreadPoolExecutor:
        """A thread of this process whose new sockets belong to the host."""
        return ThreadPoolExecutor(1, initializer=self._enter)

    def plug(self, *, connected: bool) -> None:
        """Connect its cable to the switch, or pull it."""
        _ip("-n", self.switch, "link", "set", f"port{self.number}", "up" if connected else "down")

    @property
    def programs(self) -> list[int]:
        """Process ids."""
        return [int(pid) for pid in _ip("netns", "pids", self.namespace, check=False).split()]

    def kill_programs(self) -> None:
        for pid in self.programs:
            kill(pid)

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with (NAMESPACES / self.namespace).open() as namespace:
            if libc.setns(namespace.fileno(), NETWORK_NAMESPACE):  # of this thread alone
                raise OSError(ctypes.get_errno(), f"cannot enter {self.namespace}")


@contextmanager
def hosts(numbers: Sequence[int]) -> Iterator[list[Host]]:
    """A host for each number (1 to 254); their programs are killed with the block."""
    _remove_abandoned()
    prefix = f"digitserve-{os.getpid()}-{secrets.token_hex(2)}"  # a process may make them twice
    switch = f"{prefix}-switch"
    made = [Host(number, f"{prefix}-h{number}", switch) for number in numbers]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in made:
            _connect(host)
        yield made
    finally:
        for host in made:
            host.kill_programs()
            _delete(host.namespace)
        _delete(switch)


def _connect(host: Host) -> None:
    here, port = host.namespace, f"port{host.number}"
    _ip("netns", "add", here)
    peer = ["peer", "name", port, "netns", host.switch]
    _ip("-n", here, "link", "add", "eth0", "type", "veth", *peer)
    _ip("-n", host.switch, "link", "set", port, "master", "bridge", "up")
    _ip("-n", here, "address", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("eth0", "lo"):
        _ip("-n", here, "link", "set", device, "up")


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _delete(namespace: str) -> None:
    _ip("netns", "delete", namespace, check=False)


def _remove_abandoned() -> None:
    """Remove the hosts of test runs that were killed."""
    for path in NAMESPACES.glob("digitserve-*"):
        ours = OURS.fullmatch(path.name)
        if ours and not Path("/proc", ours[1]).exists():
            Host(0, path.name, "").kill_programs()
            _delete(path.name)


def _ip(*words: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert not check or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout
