"""Wait for the work of another process or thread."""

import time
from collections.abc import Callable

from tests.support.program import PATIENCE


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
