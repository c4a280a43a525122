"""A small disk and little memory for the service, which can be reduced further for a while."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contract.cgroup import folders_of
from tools.chaos.subject import Subject

DISK = 32 * 2**20  # bytes
MEMORY = 2**30  # as in docker-compose.yml


@contextmanager
def small_disk() -> Iterator[Path]:
    """A separate file system if this process may mount one, else a folder."""
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", folder]
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
        try:
            yield Path(folder)
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full_disk(folder: Path, service: Subject) -> Iterator[None]:
    """No byte can be written to the folder, or to any file if it is not a separate file system."""
    if os.path.ismount(folder):
        filling = folder / "filling"
        with suppress(OSError), filling.open("wb") as file:
            for size in (2**16, 2**12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
                        file.flush()
        yield
        filling.unlink()
        return
    pids = [service.process.pid, *service.workers.values()]
    with _limited(service, resource.RLIMIT_FSIZE, dict.fromkeys(pids, 0)):
        yield


class Memory:
    """A memory limit for all processes of the service: of a cgroup if one can be created."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    @contextmanager
    def limited(cls) -> Iterator["Memory"]:
        for parent in folders_of("memory"):
            folder = parent / f"chaos-{os.getpid()}"
            try:
                folder.mkdir()
            except OSError:
                continue
            if not _limit_of(folder).exists():
                folder.rmdir()
                continue
            try:
                yield cls(folder)
            finally:
                with suppress(OSError):  # a process could not be ended
                    folder.rmdir()
            return
        yield cls(None)

    @property
    def reported(self) -> str:
        return f"the cgroup {self._folder}" if self._folder else "limits of each process"

    def take_in(self, service: Subject) -> None:
        """Called before the supervisor starts workers; the limit applies to the sum of all."""
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text(str(service.process.pid))
            self._set(MEMORY)

    @contextmanager
    def squeezed(self, room: int, service: Subject) -> Iterator[None]:
        """Limit memory to that many bytes more than are in use."""
        if self._folder is None:
            most = {pid: _data_of(pid) + room for pid in service.workers.values()}
            with _limited(service, resource.RLIMIT_DATA, most):
                yield
            return
        usage = next(
            path
            for name in ("memory.current", "memory.usage_in_bytes")
            if (path := self._folder / name).exists()
        )
        with suppress(OSError):  # in version 1 a limit below the current usage is rejected
            self._set(int(usage.read_text()) + room)
        yield
        self._set(MEMORY)

    def _set(self, size: int) -> None:
        assert self._folder is not None
        _limit_of(self._folder).write_text(str(size))


def _limit_of(folder: Path) -> Path:
    older = folder / "memory.limit_in_bytes"
    return older if older.exists() else folder / "memory.max"


@contextmanager
def _limited(service: Subject, what: int, most: dict[int, int]) -> Iterator[None]:
    """Limit each of these processes; those started meanwhile by the supervisor inherit it."""
    before = resource.prlimit(service.process.pid, what)
    for pid, limit in most.items():
        with suppress(ProcessLookupError):
            resource.prlimit(pid, what, (limit, before[1]))
    yield
    for pid in {service.process.pid, *most, *service.workers.values()}:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, what, before)


def _data_of(pid: int) -> int:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024
