"""Locust's web interface starts and stops load with the given settings and shape."""

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
        wait_until(lambda: listens(running), running)  # it prints that it starts before it listens
        yield running


def test_the_form_has_every_setting(page: Page) -> None:
    shown = fetch.get(page.url, timeout=PATIENCE).text
    for name in ("weights", "think", "model", "shape", "steps", "break_p99", "patience"):
        assert f"'{name}'" in shown or f'"{name}"' in shown


def test_an_invalid_form_is_rejected_and_starts_nothing(page: Page) -> None:
    for wrong, why in {
        ("weights", "gif=1"): "there is no kind 'gif'",
        ("think", "never"): "--think 'never': 'never' is not a number of seconds",
        ("user_count", "0"): "--shape spike needs --users",
    }.items():
        response = start(page, shape="spike", **dict([wrong]))
        assert response["success"] is False
        assert why in response["message"]
    assert state(page)["state"] == "ready"


def test_a_shape_ends_by_itself_and_otherwise_the_stop_button_ends_the_load(page: Page) -> None:
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
    """The numbers shown by the page, which locust updates at most every 2 seconds."""
    return fetch.get(f"{page.url}/stats/requests", timeout=PATIENCE).json()


def names(page: Page) -> set[str]:
    return {each["name"] for each in state(page)["stats"]} - {"Aggregated"}


def wait_until(condition: Callable[[], object], page: Page) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, page.log
        time.sleep(0.05)
