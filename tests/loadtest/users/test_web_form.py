"""Locust's web page starts and stops what it is told, in the shape that it is told."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.loadtest.users.swarm import Page
from tests.support import fetch
from tests.support.program import PATIENCE
from tests.support.running import Service

pytestmark = pytest.mark.slow

FORM = {"user_count": "10", "spawn_rate": "99", "think": "0.01", "run_time": "3s"}


@pytest.fixture(scope="module")
def page(service: Service) -> Iterator[Page]:
    with Page(f"--host={service.url}").while_ready() as running:
        wait_until(lambda: listens(running), running)  # it says that it starts before it does
        yield running


def test_the_page_asks_for_every_setting(page: Page) -> None:
    shown = fetch.get(page.url, timeout=PATIENCE).text
    for name in ("weights", "think", "model", "shape", "steps", "break_p99", "patience"):
        assert f"'{name}'" in shown or f'"{name}"' in shown


def test_what_is_wrong_with_the_form_is_said_and_nothing_begins(page: Page) -> None:
    for wrong, why in {
        ("weights", "gif=1"): "there is no kind 'gif'",
        ("think", "never"): "--think 'never': 'never' is not a number of seconds",
        ("user_count", "0"): "--shape spike needs --users",
    }.items():
        said = start(page, shape="spike", **dict([wrong]))
        assert said["success"] is False
        assert why in said["message"]
    assert state(page)["state"] == "ready"


def test_a_shape_ends_by_itself_and_without_one_the_stop_button_does(page: Page) -> None:
    assert "shape class 'Shape'" in start(page, shape="steps", steps="2")["message"]
    wait_until(lambda: "Shape test stopping" in page.log, page)
    assert "All users spawned" in page.log
    assert [line.partition(" to ")[2][:2] for line in page.lines("updating")] == ["5 ", "10"]
    wait_until(lambda: state(page)["state"] == "stopped", page)
    assert start(page, run_time="10m", shape="constant", weights="jpeg=0 wrong=0")["success"]
    wait_until(lambda: state(page)["state"] == "running" and "json" in names(page), page)
    fetch.post(f"{page.url}/stop", timeout=PATIENCE)
    wait_until(lambda: state(page)["state"] == "stopped", page)
    assert names(page) <= {"png", "form", "json", "binary"}
    assert not state(page)["fail_ratio"]


def listens(page: Page) -> bool:
    try:
        return fetch.get(page.url, timeout=PATIENCE).status_code == 200
    except httpx2.ConnectError:
        return False


def start(page: Page, **more: str) -> Any:
    return fetch.post(f"{page.url}/swarm", data=FORM | more, timeout=PATIENCE).json()


def state(page: Page) -> Any:
    """The page's own numbers; locust looks at them anew every 2 seconds at most."""
    return fetch.get(f"{page.url}/stats/requests", timeout=PATIENCE).json()


def names(page: Page) -> set[str]:
    return {each["name"] for each in state(page)["stats"]} - {"Aggregated"}


def wait_until(condition: Callable[[], object], page: Page) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, page.log
        time.sleep(0.05)
