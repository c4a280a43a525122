"""A server process from start to end, on cores of its own if some are given."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from loadtest.client.asyncio_client import LOST, Answer, send_once
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from loadtest.host import processes
from loadtest.host.machine import on
from loadtest.host.processes import ROOT, Memory
from loadtest.target.targets import Target

PATIENCE = 60.0  # seconds until it answers
GRACE = 10.0  # seconds to end by itself


@dataclass(frozen=True)
class Running:
    address: Address
    pid: int
    idle: Memory  # before any request except the probe

    @cached_property
    def cpu(self) -> processes.CpuTime:
        return processes.CpuTime(self.pid)

    def resident(self) -> int:
        return processes.resident(self.pid)

    def memory(self) -> Memory:
        return processes.memory(self.pid)

    def send(self, request: bytes) -> Answer:
        return send_once(self.address, request)


@contextmanager
def started(
    target: Target,
    cores: Sequence[int] = (),
    *,
    probe: bytes,
    patience: float = PATIENCE,
    address: Address | None = None,
) -> Iterator[Running]:
    """A server that has answered `probe` with 200; it and its children are ended with the block.

    `address`: where it listens, by its settings; by default a free port of 127.0.0.1.
    """
    address = address or Address("127.0.0.1", free_port())
    with tempfile.TemporaryFile() as log:
        with on(*cores) if cores else contextlib.nullcontext():
            server = subprocess.Popen(  # noqa: S603
                target.command(address.port),
                cwd=ROOT,
                env=os.environ | target.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _wait_for(server, address, probe, log.fileno(), patience)
            yield Running(address, server.pid, processes.memory(server.pid))
        finally:
            end(server)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _wait_for(
    server: subprocess.Popen[bytes], address: Address, probe: bytes, log: int, patience: float
) -> None:
    end = time.monotonic() + patience
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(*LOST):
            answer = send_once(address, probe)
            if answer.status == 200:
                return
        time.sleep(0.05)
    output = os.pread(log, 1 << 20, 0).decode(errors="replace").strip()
    what = "did not answer" if server.poll() is None else f"ended with {server.returncode}"
    raise CannotMeasure(f"{' '.join(map(str, server.args))} {what}:\n{output[-2000:]}")  # type: ignore[arg-type]


def end(leader: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """Send SIGINT to its whole session, and after the grace SIGKILL to what is left of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGINT)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                leader.wait(grace)
        finally:  # also after another Ctrl-C
            os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()
