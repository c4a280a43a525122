"""Marks of tests that not every machine or not every target runs."""

import subprocess
from typing import Any

import pytest


def slow(*values: Any) -> Any:
    """Parameters of a test that only `make test-slow` and CI run."""
    return pytest.param(*values, marks=pytest.mark.slow)


def may_mount() -> bool:
    try:
        return subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(
    not may_mount(), reason="this machine lets users mount nothing: no full disk"
)
