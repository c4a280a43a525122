"""How much memory this process may still take, inside a container too."""

from collections.abc import Iterator
from pathlib import Path

from contract.cgroup import PROC, folders_of

MEMINFO = Path("/proc/meminfo")


def free_memory(proc: Path = PROC, meminfo: Path = MEMINFO) -> int | None:
    """Bytes: the smallest of what the machine has and what the cgroups' limits leave.

    None where neither can be read (macOS). Page cache counts as free: it is given back on demand.
    """
    machine = _machine(meminfo)
    return min([*_limits(proc), *([] if machine is None else [machine])], default=None)


def memory_limit(proc: Path = PROC, meminfo: Path = MEMINFO) -> int | None:
    """Bytes that there are at all: the smallest of the machine's and the cgroups' limits."""
    machine = _machine(meminfo, "MemTotal")
    limits = [most for _, _, most in _limited(proc)]
    return min([*limits, *([] if machine is None else [machine])], default=None)


def _machine(meminfo: Path, fact: str = "MemAvailable") -> int | None:
    try:
        facts = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(facts[fact].split()[0]) * 1024  # it says kB and means KiB
    except (OSError, KeyError, ValueError):
        return None


def _limits(proc: Path) -> Iterator[int]:
    """What is left under the limit of each cgroup that has one."""
    for folder, (usage, cache), most in _limited(proc):
        try:
            used = int((folder / usage).read_text())
            lines = (folder / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        facts = dict(line.split() for line in lines)
        yield max(0, most - used + int(facts.get(cache, 0)))


def _limited(proc: Path) -> Iterator[tuple[Path, tuple[str, str], int]]:
    """Each cgroup that has a limit, version 2 or 1: its folder, its files of usage, the bytes."""
    files = (
        ("memory.max", ("memory.current", "inactive_file")),
        ("memory.limit_in_bytes", ("memory.usage_in_bytes", "total_inactive_file")),
    )
    for folder in folders_of("memory", proc):
        for limit, usage in files:
            try:
                yield folder, usage, int((folder / limit).read_text())
            except (OSError, ValueError):  # ValueError: "max", no limit
                continue
