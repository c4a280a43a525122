"""The control groups that limit this process, and the CPU cores that they leave to it.

    /proc/self/cgroup      4:memory:/pods/a       version 1, one hierarchy for each controller
                           0::/pods/a             version 2, one for all
    /proc/self/mountinfo   where which part of each hierarchy is mounted

A limit of the process's own group or of any of its ancestors holds for the process. Thread pools
sized by the host's cores throttle each other under a container's CPU limit.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc/self")


class _Mount(NamedTuple):
    root: str  # the group that is mounted; its ancestors are not visible
    point: Path
    kind: str  # cgroup or cgroup2
    controllers: set[str]  # of version 1


def available_cores(proc: Path = PROC) -> int:
    """How many cores this process may use: the smallest of its CPU affinity and its groups' quotas.

    Quotas are rounded up; the result is at least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:  # macOS, Windows
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _quotas(proc))]))


def _quotas(proc: Path) -> Iterator[float]:
    """The CPU seconds per second that each group with a limit allows."""
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


def folders_of(controller: str, proc: Path = PROC) -> list[Path]:
    """The folders of the cpu or memory controller, the process's own group first.

    Empty where there are no control groups.
    """
    try:
        groups = (proc / "cgroup").read_text()
        mounts = [*_mounts((proc / "mountinfo").read_text())]
    except OSError:
        return []
    of_version_1 = rf"^\d+:(?:.*,)?{controller}(?:,.*)?:(.*)$"
    for kind, pattern in (("cgroup", of_version_1), ("cgroup2", r"^0::(.*)$")):
        group = re.search(pattern, groups, re.MULTILINE)
        for mount in mounts:
            fits = kind == "cgroup2" or controller in mount.controllers
            if group is not None and mount.kind == kind and fits:
                return [*_upwards(mount, group[1])]
    return []


def _mounts(text: str) -> Iterator[_Mount]:
    """id parent major:minor root point options... - kind source super-options"""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
        root, point = (re.sub(r"\\(\d{3})", _character, field) for field in fields[3:5])
        yield _Mount(root, Path(point), kind, set(options.split(",")))


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))


def _upwards(mount: _Mount, group: str) -> Iterator[Path]:
    # In a container whose cgroup namespace is the host's, both begin with the container's group.
    inside = Path(group)
    relative = inside.relative_to(mount.root) if inside.is_relative_to(mount.root) else Path()
    for folder in (relative, *relative.parents):
        yield mount.point / folder
