"""CPU seconds, memory, descriptors and threads of a process and its children, as /proc tells."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Memory:
    """Bytes. What processes share counts for each in `resident`, once in `proportional`."""

    processes: int
    resident: int  # RSS, summed
    proportional: int  # PSS, summed
    largest: int  # RSS of the largest process


def tree(pid: int) -> Iterator[int]:
    """`pid` and all that descend from it and are alive."""
    children: list[int] = []
    try:
        tasks = [*(PROC / str(pid) / "task").iterdir()]
    except OSError:  # it has ended meanwhile
        return
    for task in tasks:
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            children += map(int, (task / "children").read_text().split())
    yield pid
    for child in children:
        yield from tree(child)


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, with that of children that have ended; 10 ms fine."""
    ticks = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            stat = (PROC / str(each) / "stat").read_text()
            # After the name, which may hold blanks: fields 14 to 17 of proc(5).
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks * TICK


def busy_seconds(core: int) -> float:
    """What everybody has taken of a core since it began, and what the host has taken of it."""
    for line in (PROC / "stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, *interrupts_and_stolen = map(int, ticks[:8])
            return (user + nice + system + sum(interrupts_and_stolen)) * TICK
    return 0.0


def resident(pid: int) -> int:
    """RSS of the tree, in bytes: cheap enough to ask while a load runs."""
    pages = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            pages += int((PROC / str(each) / "statm").read_text().split()[1])
    return pages * PAGE


def descriptors(pid: int) -> int:
    """Open files and sockets of the tree."""
    return _entries(pid, "fd")


def threads(pid: int) -> int:
    return _entries(pid, "task")


def memory(pid: int) -> Memory:
    """All of it. The kernel walks every page for this: not while something is measured."""
    resident_of, proportional_of = [], []
    for each in tree(pid):
        with contextlib.suppress(OSError):
            told = _rollup(each)
            resident_of.append(told["Rss"])
            proportional_of.append(told["Pss"])
    return Memory(
        processes=len(resident_of),
        resident=sum(resident_of),
        proportional=sum(proportional_of),
        largest=max(resident_of, default=0),
    )


def _rollup(pid: int) -> dict[str, int]:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    return {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (x.partition(":") for x in lines)
    }


def _entries(pid: int, folder: str) -> int:
    """Of that folder of each process of the tree."""
    found = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            found += len(os.listdir(PROC / str(each) / folder))  # noqa: PTH208 (names are enough)
    return found
