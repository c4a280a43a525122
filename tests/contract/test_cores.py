"""A container's CPU limit counts, not the host's cores."""

import os
from pathlib import Path

import pytest

from contract.cores import available_cores

ALLOWED = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
def test_cgroup_version_2(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert available_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("-1", ALLOWED)])
def test_cgroup_version_1(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == cores


def test_without_a_cgroup_every_allowed_core_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == ALLOWED
