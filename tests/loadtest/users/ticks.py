"""What the ramp says at each second, of a service that answers worse and worse: on stdout, as JSON.

A program of its own, for it imports locust.
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
    """Locust counts the seconds of its window by `time.time`."""

    now = 1e9

    def __call__(self) -> float:
        return self.now


def ticks(refused_from: int) -> list[Any]:
    """From that second on, every second answer is a refusal."""
    clock = Clock()
    time.time = clock
    said: list[Any] = []
    stats = RequestStats()
    options = Namespace(**{name: each.default for name, each in ARGUMENTS.items()} | OPTIONS)
    runner: Any = SimpleNamespace(
        stats=stats, user_count=0, environment=SimpleNamespace(parsed_options=options)
    )
    shape = Shape("ramp", runner)
    shape.reset_time()
    while not said or said[-1] is not None:
        said.append(shape.tick())
        runner.user_count = said[-1][0] if said[-1] else 0
        for number in range(10):
            refused = clock.now - Clock.now >= refused_from and number % 2
            stats.log_request("POST", f"png{REFUSED}" if refused else "png", 5, 400)
        clock.now += 1
    return said


if __name__ == "__main__":
    print(json.dumps([ticks(refused_from=30), ticks(refused_from=1000)]))
