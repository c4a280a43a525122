"""How many CPU cores this process may really use, inside a container too.

Thread pools that are sized from the host's cores throttle each other under a container's CPU limit.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from contract.cgroup import PROC, folders_of


def available_cores(proc: Path = PROC) -> int:
    """The smaller of this process's cores and its cgroups' CPU quotas, rounded up, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:  # macOS, Windows
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _quotas(proc))]))


def _quotas(proc: Path) -> Iterator[float]:
    """CPU seconds a second, of each cgroup that has a limit: version 2 or 1."""
    for folder in folders_of("cpu", proc):
        try:
            if (folder / "cpu.max").exists():
                limit, period = (folder / "cpu.max").read_text().split()
            else:
                limit = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:  # the root of version 2 has no limit
            continue
        if limit not in ("max", "-1"):
            yield float(limit) / float(period)
