"""Wait for the work of another process or thread."""

import time
from collections.abc import Callable

from tests.support.program import PATIENCE


def until(true: Callable[[], object], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
