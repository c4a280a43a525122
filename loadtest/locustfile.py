"""What locust runs: python -m locust --locustfile loadtest/locustfile.py --host http://127.0.0.1:8000

    ... --headless --users 20 --spawn-rate 10 --run-time 60s      no page, a table at the end
    ... --shape ramp --users 500 --run-time 5m                    until it breaks
    ... --processes 4                                             more than one core for locust

The users are those of `loadtest.users`; docs/how-to/loadtest.md describes them. Locust's exit code
is 1 if any answer was not right, or if no service answered.
"""

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import Runner, WorkerRunner
from locust.web import WebUI

# Locust imports from the folder of this file and the current one; the package is above them.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from loadtest.users.rehearsal import Rehearsal
from loadtest.users.settings import WEIGHTS, Settings, WrongSetting, add_arguments
from loadtest.users.shapes import options_of, shape_of
from loadtest.users.user import KINDS, Client
from loadtest.users.web_form import check_forms

Png, Jpeg, Form, Json, Binary, Wrong = KINDS  # locust finds its users among the names here

log = logging.getLogger(__name__)
CANNOT_BEGIN = "cannot begin"  # a message to the master, with the reason
weighed = dict(WEIGHTS)  # the last --weights


def set_up(environment: Environment, runner: Runner, web_ui: WebUI | None, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        return  # its master decides
    runner.register_message(CANNOT_BEGIN, give_up)
    if web_ui:
        check_forms(environment, web_ui)
    try:
        weigh(environment)
        if not web_ui or options_of(environment).autostart:
            environment.shape_class = shape_of(options_of(environment), runner)
    except WrongSetting as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(2)


def begin(environment: Environment, **_: Any) -> None:
    try:
        weigh(environment)
    except WrongSetting as error:  # only of the page's form: others are found in set_up
        raise StopTest(str(error)) from error
    kinds = {each.kind for each in KINDS if each in environment.user_classes and each.weight}
    assert environment.runner is not None
    give_up_all = partial(environment.runner.send_message, CANNOT_BEGIN)
    Client.rehearsal = Rehearsal(Settings.of(options_of(environment)), kinds, give_up_all)


def weigh(environment: Environment) -> None:
    """Only changed --weights, so that --config-users and the page's own weights count."""
    weights = Settings.of(options_of(environment)).weights
    for each in KINDS:
        if weights[each.kind] != weighed[each.kind]:
            each.weight = weighed[each.kind] = weights[each.kind]
    if not any(each.weight or each.fixed_count for each in environment.user_classes):
        raise WrongSetting("--weights leaves out every user that was named")


def give_up(environment: Environment, msg: Any, **_: Any) -> None:
    """Stop a test without requests; several processes may report that."""
    runner, options = environment.runner, options_of(environment)
    assert runner is not None
    log.error("There is nothing to test: %s", msg.data)
    environment.process_exit_code = 1
    gevent.spawn(runner.quit if options.headless or options.autostart else runner.stop)


def check_sent(environment: Environment, **_: Any) -> None:
    sent = environment.stats.total.num_requests
    if not sent and options_of(environment).headless and not options_of(environment).worker:
        log.error("The test was over before a request was sent: it needs a longer --run-time")
        environment.process_exit_code = 1


events.init_command_line_parser.add_listener(add_arguments)
events.init.add_listener(set_up)
events.test_start.add_listener(begin)
events.quitting.add_listener(check_sent)
