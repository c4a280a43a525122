"""The CPU limit of a container counts, not the cores of the host."""

import os
from pathlib import Path

import pytest

from contract.cgroup import available_cores
from tests.support.cgroups import Groups

ALLOWED = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("max 100000", ALLOWED),
        ("9900000 100000", ALLOWED),
    ],
    ids=["half a core is one", "one core", "no limit", "more than there are"],
)
def test_cgroup_version_2(groups: Groups, limit: str, cores: int) -> None:
    groups.version_2("/", cpu_max=limit)
    assert available_cores(groups.proc) == cores


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("-1", ALLOWED)])
def test_cgroup_version_1(groups: Groups, quota: str, cores: int) -> None:
    groups.version_1("cpu", "/", cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000")
    assert available_cores(groups.proc) == cores


@pytest.mark.parametrize("limited", ["/pods/a", "/pods", "/"])
def test_the_limits_of_all_enclosing_groups_apply(groups: Groups, limited: str) -> None:
    for group in ("/pods/a", "/pods", "/"):
        groups.version_2(group, cpu_max="100000 100000" if group == limited else "max 100000")
    groups.process_is_in("/pods/a")
    assert available_cores(groups.proc) == 1


def test_a_nested_group_of_version_1_is_found(groups: Groups) -> None:
    groups.version_1("cpu", "/", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000")
    groups.version_1("cpu", "/pods/a", cpu_cfs_quota_us="50000", cpu_cfs_period_us="100000")
    groups.process_is_in("/pods/a")
    assert available_cores(groups.proc) == 1


def test_a_container_sees_its_own_group_as_the_root(groups: Groups) -> None:
    groups.version_2("/", cpu_max="100000 100000")
    groups.process_is_in("/docker/a", mounted="/docker/a")
    assert available_cores(groups.proc) == 1


def test_without_a_cgroup_every_allowed_core_counts(groups: Groups) -> None:
    assert available_cores(groups.proc) == ALLOWED
