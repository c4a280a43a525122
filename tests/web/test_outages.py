"""If the service is unreachable, stopping or full, the page says so and recovers."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from contract.store import Store
from tests.support.pictures import SEVEN
from tests.support.running import Service
from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer
from tests.web.shapes import DIGITS, lines
from tests.web.visit import visiting

AWAY = r"net::ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET|NETWORK|CONTENT_LENGTH)"
REFUSED = "status of 503"


@pytest.fixture
def models(store: Store) -> Path:
    return store.folder.parent


def notice(page: Page) -> Locator:
    return page.locator("#notice")


@contextmanager
def again(models: Path, before: Service) -> Iterator[None]:
    """Another service in place of a former one."""
    before.process.kill()
    before.exit_code()
    with Service.started(models, port=httpx2.URL(before.url).port):
        yield


@contextmanager
def stayed(page: Page) -> Iterator[None]:
    """Checks that the page is not reloaded meanwhile."""
    page.evaluate("() => { window.stayed = true }")
    yield
    assert page.evaluate("window.stayed"), "the page was loaded anew"


@contextmanager
def occupied(service: Service) -> Iterator[None]:
    """The queue of the service is kept full."""
    ended = threading.Event()

    def occupy() -> None:
        with service.client() as client:
            while not ended.is_set():
                client.post("/v1/predict", content=SEVEN)

    crowd = [threading.Thread(target=occupy) for _ in range(3)]
    for each in crowd:
        each.start()
    try:
        yield
    finally:
        ended.set()
        for each in crowd:
            each.join()


def test_a_drawing_made_during_an_outage_is_predicted_afterwards(
    browser: Browser, models: Path
) -> None:
    with (
        Service.started(models) as service,
        visiting(browser, service.url) as (page, guard),
        stayed(page),
    ):
        guard.allow(AWAY)
        service.process.kill()
        service.exit_code()
        expect(notice(page)).to_contain_text("does not answer")
        draw(page, DIGITS[7])
        expect(page.locator("#sure")).to_have_text("The service does not answer; this image waits.")
        with again(models, service):
            expect_answer(page, "7")
            expect(notice(page)).to_be_empty()


def test_an_answer_is_marked_as_old_if_the_service_is_down_when_the_drawing_changes(
    browser: Browser, models: Path
) -> None:
    with (
        Service.started(models) as service,
        visiting(browser, service.url) as (page, guard),
    ):
        guard.allow(AWAY)
        draw(page, DIGITS[7])
        expect_answer(page, "7")
        page.wait_for_timeout(1000)  # the answer to the last stroke, which is sent twice
        service.process.kill()
        service.exit_code()
        expect(notice(page)).to_contain_text("does not answer")
        old = page.locator("#old")
        expect(old).to_be_hidden()  # it still answers what is on the pad
        draw(page, [lines((0.2, 0.9), (0.8, 0.9))])
        expect(old).to_contain_text("an earlier image. The service does not answer")
        with again(models, service):
            expect(old).to_be_hidden()
            expect(answer(page)).not_to_be_empty()


def test_an_offline_device_is_distinguished_from_a_service_that_does_not_answer(
    browser: Browser, service: Service
) -> None:
    with visiting(browser, service.url) as (page, guard):
        guard.allow("net::ERR_INTERNET_DISCONNECTED")
        page.context.set_offline(True)
        draw(page, DIGITS[7])
        expect(notice(page)).to_contain_text("This device is offline")
        expect(page.locator("#sure")).to_have_text("This device is offline; this image waits.")
        expect(page.locator("#badge")).to_have_text("offline")
        page.context.set_offline(False)
        expect_answer(page, "7")
        expect(notice(page)).to_be_empty()


def test_live_numbers_return_with_the_service(browser: Browser, models: Path) -> None:
    with (
        Service.started(models) as service,
        visiting(browser, f"{service.url}/#live") as (page, guard),
        stayed(page),
    ):
        guard.allow(AWAY)
        watchers = page.locator("#watchers")
        expect(watchers).to_have_text("1")
        service.process.kill()
        service.exit_code()
        expect(notice(page)).to_contain_text("does not answer")
        for unknown in ("watchers", "queue", "rate", "p50"):
            expect(page.locator(f"#{unknown}")).to_have_text("\N{EN DASH}")
        expect(page.locator("#queue-bar")).to_have_class("gauge unknown")
        with again(models, service):
            expect(watchers).to_have_text("1")
            expect(page.locator("#queue-bar")).to_have_class("gauge")
            expect(notice(page)).to_be_empty()


def test_a_stopping_service_is_reported_and_still_predicts(browser: Browser, models: Path) -> None:
    with (
        Service.started(models, drain_seconds=60) as service,
        visiting(browser, service.url) as (page, guard),
        stayed(page),
    ):
        guard.allow(AWAY, f"{REFUSED} .*/readyz")
        service.send(signal.SIGTERM)
        expect(notice(page)).to_contain_text("not ready")
        expect(notice(page)).to_contain_text("stopping")
        draw(page, DIGITS[7])
        expect_answer(page, "7")
        with again(models, service):
            expect(notice(page)).to_be_empty()


def test_a_full_service_is_retried_until_it_answers(browser: Browser, models: Path) -> None:
    """Its queue holds one image, which waits a second for a fuller batch."""
    with (
        Service.started(models, max_queue=1, max_wait=1, max_batch=2) as service,
        visiting(browser, service.url) as (page, guard),
        stayed(page),
    ):
        guard.allow(f"{REFUSED} .*/v1/predict")
        with occupied(service):
            draw(page, DIGITS[7])
            expect(notice(page)).to_contain_text(re.compile(r"full.* \d+ s"))
        expect_answer(page, "7")
        expect(notice(page)).to_be_empty()


def test_the_retry_time_of_a_full_service_is_counted_down_and_respected(
    page: Page, guard: Guard, full: httpx2.Response
) -> None:
    """The response is a real one, but with a longer retry time."""
    guard.allow(f"{REFUSED} .*/v1/predict")
    sent: list[str] = []

    def refuse_once(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) > 1:
            route.continue_()
        else:
            headers = {**full.headers, "retry-after": "4"}
            route.fulfill(status=full.status_code, headers=headers, body=full.content)

    page.route("**/v1/predict*", refuse_once)
    draw(page, DIGITS[7])
    expect(page.locator("#sure")).to_have_text("The service is full; this image waits.")
    for seconds in (4, 3, 2):
        expect(notice(page)).to_contain_text(f"{seconds} s")
        assert len(sent) == 1
    expect_answer(page, "7")
    expect(notice(page)).to_be_empty()


@pytest.fixture
def full(models: Path) -> httpx2.Response:
    """The response of a full service."""
    with Service.started(models, max_queue=1, max_wait=1, max_batch=2) as service:
        for _ in range(100):
            with occupied(service), service.client() as client:
                response = client.post("/v1/predict", content=SEVEN)
            if response.status_code == 503:
                return response
    raise AssertionError("it was never full")


def test_a_rejected_watcher_is_connected_when_another_one_leaves(
    browser: Browser, models: Path
) -> None:
    with (
        Service.started(models, max_watchers=1) as service,
        visiting(browser, f"{service.url}/#live") as (first, _),
    ):
        expect(first.locator("#watchers")).to_have_text("1")
        with visiting(browser, f"{service.url}/#live") as (second, guard):
            guard.allow(f"{REFUSED} .*/v1/live")
            expect(second.locator("#live-state")).to_contain_text("streams are open")
            first.locator("nav").get_by_role("link", name="Draw").click()
            expect(second.locator("#watchers")).to_have_text("1")
            expect(second.locator("#live-state")).to_be_empty()
