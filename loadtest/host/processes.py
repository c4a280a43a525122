"""CPU time, memory, descriptors and threads of a process and its descendants, read by psutil."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import psutil

T = TypeVar("T")


@dataclass(frozen=True)
class Memory:
    """Bytes. Shared pages count for each process in `resident`, once in `proportional`."""

    processes: int
    resident: int  # RSS, summed
    proportional: int  # PSS, summed
    largest: int  # RSS of the largest process


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that are alive."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, with that of children that have ended; 10 ms fine."""
    return sum(_of_each(pid, lambda each: sum(each.cpu_times()[:4])))


def busy_seconds(core: int) -> float:
    """The time a core has spent on any work since boot, and the host's share of it."""
    times = psutil.cpu_times(percpu=True)
    if core >= len(times):
        return 0.0
    each = times[core]  # guest time is part of user time
    return float(each.user + each.nice + each.system + each.irq + each.softirq + each.steal)


def resident(pid: int) -> int:
    """RSS of the tree, in bytes: cheap enough to read while a load runs."""
    return sum(_of_each(pid, lambda each: each.memory_info().rss))


def descriptors(pid: int) -> int:
    """Open files and sockets of the tree."""
    return sum(_of_each(pid, lambda each: each.num_fds()))


def threads(pid: int) -> int:
    return sum(_of_each(pid, lambda each: each.num_threads()))


def memory(pid: int) -> Memory:
    """All of it. The kernel walks every page for this: not while something is measured."""
    found = _of_each(pid, lambda each: each.memory_full_info())
    return Memory(
        processes=len(found),
        resident=sum(each.rss for each in found),
        proportional=sum(each.pss for each in found),
        largest=max((each.rss for each in found), default=0),
    )


def _of_each(pid: int, read: Callable[[psutil.Process], T]) -> list[T]:
    """A value of each process of the tree, without those that end meanwhile."""
    found = []
    for each in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            found.append(read(each))
    return found
