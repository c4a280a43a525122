"""Run a program, or read the CPU time, memory, descriptors and threads of a tree of processes."""

import contextlib
import subprocess
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from loadtest.errors import CannotMeasure

ROOT = Path(__file__).parent.parent.parent  # of the checkout
T = TypeVar("T")


@dataclass(frozen=True)
class Memory:
    """Bytes. Shared pages count for each process in `resident`, once in `proportional`."""

    processes: int
    resident: int  # RSS, summed
    proportional: int  # PSS, summed
    largest: int  # RSS of the largest process


def run(*words: str, codes: Container[int] = (0,)) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; CannotMeasure if its exit code is not one of `codes`."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in codes:
        error = (done.stderr or done.stdout).strip()[-2000:]
        raise CannotMeasure(f"{' '.join(words)} ended with {done.returncode}:\n{error}")
    return done


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that are alive."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class CpuTime:
    """CPU time of a process and its descendants; it never decreases, whichever of them end.

    A parent that waits for a child takes over the child's time, so the kernel still counts it. The
    time of a process whose parent did not wait for it, or that ended together with all its
    ancestors in the tree, is kept here as it was last read.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._kept = 0.0  # seconds of processes that have ended and that no parent counts
        # Of those that were alive last time: user, system, and both of children waited for.
        self._read: dict[psutil.Process, tuple[float, ...]] = {}

    def seconds(self) -> float:
        """User and system time until now, with a resolution of 10 ms."""
        before, self._read = self._read, _each(self.pid, lambda each: each.cpu_times()[:4])
        ended = sum(sum(before[each]) for each in before.keys() - self._read.keys())
        taken_over = sum(
            sum(self._read[each][2:]) - sum(before[each][2:])
            for each in before.keys() & self._read.keys()
        )
        self._kept += max(0.0, ended - taken_over)
        return round(self._kept + sum(map(sum, self._read.values())), 2)


def busy_seconds(core: int) -> float:
    """The time that a core has spent on any work since boot, including what the host took."""
    times = psutil.cpu_times(percpu=True)
    if core >= len(times):
        return 0.0
    each = times[core]  # guest time is part of user time
    return float(each.user + each.nice + each.system + each.irq + each.softirq + each.steal)


def resident(pid: int) -> int:
    """RSS of the tree, in bytes: cheap enough to read while a load runs."""
    return sum(_each(pid, lambda each: each.memory_info().rss).values())


def descriptors(pid: int) -> int:
    """Open files and sockets of the tree."""
    return sum(_each(pid, lambda each: each.num_fds()).values())


def threads(pid: int) -> int:
    return sum(_each(pid, lambda each: each.num_threads()).values())


def memory(pid: int) -> Memory:
    """Read all of it. The kernel walks every page for this: not for use while measuring."""
    found = _each(pid, lambda each: each.memory_full_info()).values()
    return Memory(
        processes=len(found),
        resident=sum(each.rss for each in found),
        proportional=sum(each.pss for each in found),
        largest=max((each.rss for each in found), default=0),
    )


def _each(pid: int, read: Callable[[psutil.Process], T]) -> dict[psutil.Process, T]:
    """A value for each process of the tree, except those that end meanwhile."""
    found = {}
    for each in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            found[each] = read(each)
    return found
