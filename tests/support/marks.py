"""Parameters of a test that only `make test-slow` and CI run."""

from typing import Any

import pytest


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)
