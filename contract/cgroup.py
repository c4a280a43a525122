"""The control groups that limit this process: its own and its ancestors.

    /proc/self/cgroup      4:memory:/pods/a       version 1, one hierarchy for each controller
                           0::/pods/a             version 2, one for all
    /proc/self/mountinfo   where which part of each hierarchy is mounted

A limit anywhere between a process's group and the root of the hierarchy holds for the process.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc/self")


class _Mount(NamedTuple):
    root: str  # the group that is mounted; what is above it cannot be seen
    point: Path
    kind: str  # cgroup or cgroup2
    controllers: set[str]  # of version 1


def folders_of(controller: str, proc: Path = PROC) -> list[Path]:
    """The folders of cpu or memory, the process's own first; none where there are no groups."""
    try:
        groups = (proc / "cgroup").read_text()
        mounts = [*_mounts((proc / "mountinfo").read_text())]
    except OSError:
        return []
    of_version = {1: ("cgroup", rf"^\d+:(?:.*,)?{controller}(?:,.*)?:(.*)$")}
    of_version[2] = "cgroup2", r"^0::(.*)$"
    for version, (kind, pattern) in of_version.items():
        group = re.search(pattern, groups, re.MULTILINE)
        for mount in mounts:
            fits = version == 2 or controller in mount.controllers
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
