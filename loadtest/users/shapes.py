"""The shapes for locust: each follows a course, and the ramp ends when the service breaks.

The course is made when a test begins, from locust's arguments: --users is its top, --run-time its
length.
"""

import logging
import time
from argparse import Namespace

from locust import LoadTestShape
from locust.env import Environment
from locust.runners import Runner

from loadtest.users.checks import REFUSED
from loadtest.users.courses import Course
from loadtest.users.settings import CONSTANT, Settings, WrongSetting

RAMP = "ramp"
WINDOW = 10.0  # seconds of locust's statistics of the current load

log = logging.getLogger(__name__)


class Shape(LoadTestShape):
    use_common_options = True  # the page has fields for users and run time

    def __init__(self, name: str, runner: Runner) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name
        self.runner = runner

    def reset_time(self) -> None:
        self.start_time = time.time()
        assert self.runner is not None
        options = options_of(self.runner.environment)
        self.settings = Settings.of(options)
        self.course = course_of(self.name, options)

    def tick(self) -> tuple[int, float] | None:
        seconds = time.time() - self.start_time
        users = self.course.users(seconds)
        if self.name == RAMP:
            assert self.runner is not None
            broken = seconds >= WINDOW and _broken(self.runner, self.settings)
            if broken:
                log.warning("The service broke: %s in the last 10 s", broken)
                return None
            if users is None:
                log.info("The service did not break with %d users", self.runner.user_count)
        return None if users is None else (users, self.course.rate)


def shape_of(options: Namespace, runner: Runner) -> Shape | None:
    """None for a constant number of users; WrongSetting if the top or the length is missing."""
    name = Settings.of(options).shape
    if name == CONSTANT:
        return None
    course_of(name, options)
    return Shape(name, runner)


def course_of(name: str, options: Namespace) -> Course:
    needed = {"--users": options.num_users, "--run-time": options.run_time}
    if missing := [word for word, value in needed.items() if not value]:
        raise WrongSetting(
            f"--shape {name} needs {' and '.join(missing)}: the maximum number of users, and how "
            "long the whole test takes, as --users 100 --run-time 5m"
        )
    steps = Settings.of(options).steps
    return Course(name, options.num_users, float(options.run_time), steps)


def options_of(environment: Environment) -> Namespace:
    options = environment.parsed_options
    assert isinstance(options, Namespace)
    return options


def _broken(runner: Runner, settings: Settings) -> str:
    """What is wrong: the service is too slow, or too many requests fail or are refused; or empty.

    Of the last 10 seconds, as locust counts them; times above 100 ms have two digits.
    """
    stats = runner.stats
    rate = stats.total.current_rps
    if not rate:
        return ""
    p99 = (stats.total.get_current_response_time_percentile(0.99) or 0) / 1e3
    refused = sum(
        entry.current_rps for (name, _), entry in stats.entries.items() if name.endswith(REFUSED)
    )
    errors = (stats.total.current_fail_per_sec + refused) / rate
    if p99 <= settings.break_p99 and errors <= settings.break_errors:
        return ""
    return (
        f"{runner.user_count} users, {rate:,.0f} requests/s, p99 {p99 * 1e3:.0f} ms, "
        f"{errors:.2%} failed or refused"
    )
