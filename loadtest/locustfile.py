"""What locust runs: python -m locust --locustfile loadtest/locustfile.py --host http://127.0.0.1:8000

    ... --headless --users 20 --spawn-rate 10 --run-time 60s      no page, a table at the end
    ... --shape ramp --users 500 --run-time 5m                    until it breaks
    ... --processes 4                                             more than one core to ask with

`loadtest.users` is what it does, docs/loadtest.md describes it. Locust's exit code is 1 if any
answer was not right, or if there was nobody to ask.
"""

import logging
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import Runner, WorkerRunner
from locust.web import WebUI

# Locust looks beside this file and in the folder that it was started in; the package is above it.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from loadtest.users.rehearsal import Rehearsal
from loadtest.users.settings import WEIGHTS, Settings, WrongSetting, add_arguments
from loadtest.users.shapes import shape_of
from loadtest.users.user import (  # noqa: F401
    KINDS,
    Binary,
    Client,
    Form,
    Jpeg,
    Json,
    Png,
    Wrong,
)
from loadtest.users.web_form import look_at_forms

log = logging.getLogger(__name__)
CANNOT_BEGIN = "cannot begin"  # a message to the master, with the reason
weighed = dict(WEIGHTS)  # as --weights last said


def set_up(environment: Environment, runner: Runner, web_ui: WebUI | None, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        return  # does as its master says
    runner.register_message(CANNOT_BEGIN, give_up)
    if web_ui:
        look_at_forms(environment, web_ui)
    try:
        weigh(environment)
        if not web_ui or _options(environment).autostart:
            environment.shape_class = shape_of(_options(environment), runner)
    except WrongSetting as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(2)


def begin(environment: Environment, **_: Any) -> None:
    try:
        weigh(environment)
    except WrongSetting as error:  # of the page's form: nothing else comes this far
        raise StopTest(str(error)) from error
    kinds = {each.kind for each in KINDS if each in environment.user_classes and each.weight}
    assert environment.runner is not None
    give_up_all = partial(environment.runner.send_message, CANNOT_BEGIN)
    Client.rehearsal = Rehearsal(Settings.of(_options(environment)), kinds, give_up_all)


def weigh(environment: Environment) -> None:
    """Only what --weights says anew, so that --config-users and the page's own weights count."""
    weights = Settings.of(_options(environment)).weights
    for each in KINDS:
        if weights[each.kind] != weighed[each.kind]:
            each.weight = weighed[each.kind] = weights[each.kind]
    if not any(each.weight or each.fixed_count for each in environment.user_classes):
        raise WrongSetting("--weights leaves out every user that was named")


def give_up(environment: Environment, msg: Any, **_: Any) -> None:
    """There is no test without anything to ask; several processes may say so."""
    runner, options = environment.runner, _options(environment)
    assert runner is not None
    log.error("There is nothing to test: %s", msg.data)
    environment.process_exit_code = 1
    gevent.spawn(runner.quit if options.headless or options.autostart else runner.stop)


def look_back(environment: Environment, **_: Any) -> None:
    sent = environment.stats.total.num_requests
    if not sent and _options(environment).headless and not _options(environment).worker:
        log.error("The test was over before a request was sent: it needs a longer --run-time")
        environment.process_exit_code = 1


def _options(environment: Environment) -> Namespace:
    assert isinstance(environment.parsed_options, Namespace)
    return environment.parsed_options


events.init_command_line_parser.add_listener(add_arguments)
events.init.add_listener(set_up)
events.test_start.add_listener(begin)
events.quitting.add_listener(look_back)
