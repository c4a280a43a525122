"""Fast starts of `python -m service`, forked from a process that has loaded all modules.

    test --program, environment, stdout--> template --fork--> keeper --fork--> the service
         <-----its process id, then its exit status-----

A start takes a fifth of the time. No module of the service reads a setting or starts a thread at
import. A service whose environment differs in more than its settings is started by `Popen`, as are
those with a limit that OpenCV reads when it is loaded.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

# The modules that a start imports: the composition roots, and those imported lazily.
MODULES = [
    *("service.single", "service.workers.supervisor", "fastapi.openapi.models", "pydantic.v1"),
    *("cryptography.hazmat.primitives.asymmetric.ed25519", "multipart", "uvloop"),
]
# Settings, those of a bucket too, and what pytest and PyTorch set in the process of the tests.
OURS = ("DIGITSERVE_", "AWS_", "PYTEST_CURRENT_TEST", "KMP_")
ROOT = Path(__file__).parent.parent.parent


class Forked:
    """The part of `subprocess.Popen` that tests use."""

    stderr: IO[str] | None = None

    def __init__(self, pid: int, connection: socket.socket, stdout: IO[str]) -> None:
        self.pid = pid
        self.stdout: IO[str] | None = stdout
        self.returncode: int | None = None
        self._connection = connection

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                status = self._connection.recv(16)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("service", timeout or 0.0) from None
            self._connection.close()
            self.returncode = int(status)
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may have just ended
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def forked(program: str, environment: Mapping[str, str]) -> Forked | None:
    """Start `python -m program`, a service, whose stdout and stderr are read from `stdout`.

    Returns None if only `Popen` can start it.
    """
    if not sys.platform.startswith("linux") or "DIGITSERVE_MAX_PIXELS" in environment:
        return None
    if _without_settings(environment) != INHERITED:
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read, write = os.pipe()
    with theirs:
        socket.send_fds(
            _template(),
            [json.dumps([program, dict(environment)]).encode()],
            [write, theirs.fileno()],
        )
    os.close(write)
    pid = ours.recv(16)
    assert pid, "the process to fork from has ended; its stderr says why"
    return Forked(int(pid), ours, os.fdopen(read))


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(OURS)}


INHERITED = _without_settings(os.environ)


@cache
def _template() -> socket.socket:
    """The process to fork from, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        template = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            env=INHERITED,
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        template.wait()

    atexit.register(end)
    return ours


def serve_forks(requests: socket.socket) -> str:
    """Returns the program's name in each service; the template ends with the tests' process."""
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # or a garbage collection in a fork would copy the pages of all these objects
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # exit statuses of the keepers are not awaited
    while True:
        request, fds, _, _ = socket.recv_fds(requests, 2**20, 2)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            program, environment = json.loads(request)
            _keep(program, environment, *fds)
            return str(program)
        for fd in fds:
            os.close(fd)


def _keep(program: str, environment: dict[str, str], output: int, connection: int) -> None:
    """Returns in the service; its keeper waits until it ends."""
    pid = os.fork()
    if pid:
        os.close(output)
        with socket.socket(fileno=connection) as test:
            test.send(str(pid).encode())
            _, status = os.waitpid(pid, 0)
            test.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    os.close(connection)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program]


if __name__ == "__main__":
    runpy.run_module(
        serve_forks(socket.socket(fileno=int(sys.argv[1]))), run_name="__main__", alter_sys=True
    )
