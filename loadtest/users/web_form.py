"""The form of locust's web page, checked when its start button is pressed.

Locust decides whether there is a shape before it fires its event `test_start`, and starts a test
with any settings. So the form is checked before that: a mistake in it is shown on the page, and the
shape that it names is the one that runs.
"""

from argparse import Namespace
from typing import Any

from flask import request
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING
from locust.util.timespan import parse_timespan
from locust.web import WebUI

from loadtest.users.courses import SHARES
from loadtest.users.settings import CONSTANT, Settings
from loadtest.users.shapes import Shape, course_of, shape_of

DEFAULT = "Default"  # no shape, in the list of --class-picker


def check_forms(environment: Environment, web_ui: WebUI) -> None:
    runner = environment.runner
    assert runner is not None
    # For --class-picker, whose own list of shapes has precedence over --shape.
    environment.available_shape_classes = {name: Shape(name, runner) for name in SHARES}
    picks = web_ui.userclass_picker_is_active

    def refused() -> dict[str, Any] | None:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        if runner.state in (STATE_RUNNING, STATE_SPAWNING):
            return None
        try:
            options = _changed(environment.parsed_options, request.form)
            if picks:
                _picked(options, request.form.get("shape_class", DEFAULT))
            else:
                environment.shape_class = shape_of(options, runner)
        except ValueError as error:
            return {"success": False, "message": str(error), "host": environment.host}
        return None

    assert web_ui.app is not None
    web_ui.app.before_request(refused)


def _changed(options: Namespace | None, form: Any) -> Namespace:
    """The options with the values of the form."""
    changed = Namespace(**vars(options))
    for name, text in form.items():
        if name == "user_count":
            changed.num_users = int(text)
        elif name == "run_time":
            changed.run_time = parse_timespan(text) if text else changed.run_time
        elif hasattr(changed, name):
            setattr(changed, name, text)
    return changed


def _picked(options: Namespace, shape: str) -> None:
    settings = Settings.of(options)
    if shape != DEFAULT:
        course_of(shape, options)
    elif settings.shape != CONSTANT:
        raise ValueError(
            f"choose {settings.shape} as the shape class: with --class-picker, it counts"
        )
