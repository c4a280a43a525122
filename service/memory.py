"""How much memory this process may still take, inside a container too."""

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def free_memory(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """Bytes: the smaller of what the machine has and what the cgroup's limit leaves.

    None where neither can be read (macOS). Page cache counts as free: it is given back on demand.
    """
    rooms = [room for room in (_machine(meminfo), _limit(cgroup)) if room is not None]
    return min(rooms, default=None)


def shortage(reserve: int) -> str | None:
    """Why what is not needed is let go, and nothing more loaded; None: `reserve` bytes are free."""
    free = free_memory()
    if free is None or free >= reserve:
        return None
    return (
        f"{free // 2**20} MiB of memory are free, DIGITSERVE_MEMORY_RESERVE asks for "
        f"{reserve // 2**20} MiB"
    )


def _machine(meminfo: Path) -> int | None:
    try:
        facts = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(facts["MemAvailable"].split()[0]) * 1024  # it says kB and means KiB
    except (OSError, KeyError, ValueError):
        return None


def _limit(cgroup: Path) -> int | None:
    """What is left under the limit of cgroup v2 or v1; None where there is no limit."""
    files = {
        "memory.max": ("memory.current", "memory.stat", "inactive_file"),
        "memory/memory.limit_in_bytes": (
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    }
    for limit, (usage, statistics, cache) in files.items():
        try:
            most = int((cgroup / limit).read_text())
            used = int((cgroup / usage).read_text())
            facts = dict(line.split() for line in (cgroup / statistics).read_text().splitlines())
        except (OSError, ValueError):  # ValueError: "max", no limit
            continue
        return max(0, most - used + int(facts.get(cache, 0)))
    return None
