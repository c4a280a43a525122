"""Wait for what another process or thread does meanwhile."""

import time
from collections.abc import Callable

from tests.support.program import PATIENCE


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
