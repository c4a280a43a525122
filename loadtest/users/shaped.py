"""The shapes as locust has them: a course, and for the ramp the watch that ends it.

The course is made when a test begins, from what locust was told: --users is its top, --run-time its
length.
"""

import logging
import time
from argparse import Namespace
from collections.abc import Callable

from locust import LoadTestShape
from locust.runners import Runner

from loadtest.users.breaking import Counted, Limits, Watch
from loadtest.users.courses import COURSES, Course
from loadtest.users.sending import REFUSED
from loadtest.users.settings import CONSTANT, Settings, WrongSetting

RAMP = "ramp"

log = logging.getLogger(__name__)


class Shape(LoadTestShape):
    use_common_options = True  # the page asks for users and run time

    def __init__(
        self, name: str, runner: Runner, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name
        self.clock = clock  # seconds
        self.runner = runner

    def reset_time(self) -> None:
        self.start_time = self.clock()
        options = _options(self.runner)
        settings = Settings.of(options)
        self.course = course_of(self.name, options)
        self.limits = Limits(settings.break_p99, settings.break_errors)
        self.watch = Watch()

    def tick(self) -> tuple[int, float] | None:
        seconds = self.clock() - self.start_time
        users = self.course.users(seconds)
        if self.name == RAMP:
            seen = self.watch.look(_counted(self.runner, seconds))
            if seen and self.limits.broken(seen):
                log.warning("The service broke: %s in the last 10 s", seen)
                return None
            if users is None:
                log.info("The service did not break with %s", seen or f"{self.course.top} users")
        return None if users is None else (users, self.course.rate)


def shape_of(options: Namespace, runner: Runner) -> Shape | None:
    """None for a constant number of users; WrongSetting if it has no top or no length."""
    name = Settings.of(options).shape
    if name == CONSTANT:
        return None
    course_of(name, options)
    return Shape(name, runner)


def course_of(name: str, options: Namespace) -> Course:
    missing = [
        word
        for word, told in (("--users", options.num_users), ("--run-time", options.run_time))
        if not told
    ]
    if missing:
        raise WrongSetting(
            f"--shape {name} needs {' and '.join(missing)}: the most users there will be, and how "
            "long all of it takes, as --users 100 --run-time 5m"
        )
    return COURSES[name](options.num_users, float(options.run_time), Settings.of(options).steps)


def _options(runner: Runner | None) -> Namespace:
    assert runner is not None
    options = runner.environment.parsed_options
    assert isinstance(options, Namespace)
    return options


def _counted(runner: Runner | None, at: float) -> Counted:
    assert runner is not None
    entries = runner.stats.entries
    refused = sum(
        entry.num_requests for (name, _), entry in entries.items() if name.endswith(REFUSED)
    )
    total = runner.stats.total
    return Counted(
        at=at,
        users=runner.user_count,
        times=dict(total.response_times),
        requests=total.num_requests,
        bad=total.num_failures + refused,
    )
