"""The user counts of the ramp per second for a degrading service, printed as JSON.

A separate program because it imports locust.
"""

import json
import time
from argparse import Namespace
from types import SimpleNamespace
from typing import Any

from locust.stats import RequestStats

from loadtest.users.checks import REFUSED
from loadtest.users.settings import ARGUMENTS
from loadtest.users.shapes import Shape

OPTIONS = {"num_users": 100, "run_time": 100, "break_errors": "10%"}


class Clock:
    """Locust takes the time of its window from `time.time`."""

    now = 1e9

    def __call__(self) -> float:
        return self.now


def ticks(refused_from: int) -> list[Any]:
    """From that second on, every second request is refused."""
    clock = Clock()
    time.time = clock
    counts: list[Any] = []
    stats = RequestStats()
    options = Namespace(**{name: each.default for name, each in ARGUMENTS.items()} | OPTIONS)
    runner: Any = SimpleNamespace(
        stats=stats, user_count=0, environment=SimpleNamespace(parsed_options=options)
    )
    shape = Shape("ramp", runner)
    shape.reset_time()
    while not counts or counts[-1] is not None:
        counts.append(shape.tick())
        runner.user_count = counts[-1][0] if counts[-1] else 0
        for number in range(10):
            refused = clock.now - Clock.now >= refused_from and number % 2
            stats.log_request("POST", f"png{REFUSED}" if refused else "png", 5, 400)
        clock.now += 1
    return counts


if __name__ == "__main__":
    print(json.dumps([ticks(refused_from=30), ticks(refused_from=1000)]))
