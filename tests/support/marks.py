"""Values of a parametrised test that only `make test-slow` runs, and so does CI."""

from typing import Any

import pytest


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)
