"""The live view with metrics of the service."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Locator, Page, expect

from contract.store import Store
from tests.support.metrics import metric
from tests.support.pictures import SEVEN
from tests.support.running import Service, wait_until
from tests.web.eventually import eventually
from tests.web.guard import Guard
from tests.web.visit import guarded


@pytest.fixture(scope="module")
def watched(store: Store) -> Iterator[Service]:
    """A service that gets no other requests."""
    with Service.started(store.folder.parent) as service:
        yield service


@pytest.fixture
def visit(tab: Page, watched: Service) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, f"{watched.url}/#live") as visit:
        yield visit


def number(text: str) -> float:
    found = re.search(r"[\d,.]+", text)
    return float(found.group().replace(",", "")) if found else 0.0


def shown(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}")


def post_many(service: Service, count: int) -> None:
    def post(share: int) -> None:
        with service.client() as client:
            for _ in range(share):
                client.post("/v1/predict", content=SEVEN).raise_for_status()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(post, count // 4) for _ in range(4)]:
            done.result()


def test_numbers_change_under_load_and_return_to_zero(page: Page, watched: Service) -> None:
    expect(shown(page, "rate")).to_have_text("0")
    post_many(watched, 400)
    eventually(page, lambda: number(shown(page, "rate").inner_text()) > 0, lambda: True)
    expect(shown(page, "p50")).to_have_text(re.compile(r"^[\d.]+ (µs|ms|s)$"))
    expect(shown(page, "p99")).to_have_text(re.compile(r"^[\d.]+ (µs|ms|s)$"))
    expect(shown(page, "batches")).to_contain_text(re.compile(r": [1-9]\d* calls"))
    expect(page.get_by_role("img", name="Requests a second")).to_be_visible()
    expect(shown(page, "rate")).to_have_text("0")


def test_provider_version_and_queue_are_shown(page: Page) -> None:
    expect(shown(page, "provider")).to_have_text(re.compile("cpu", re.IGNORECASE))
    expect(shown(page, "queue")).to_have_text("0")
    expect(shown(page, "errors")).to_have_text("0")
    expect(shown(page, "live-version")).to_have_text("2")


def test_refused_requests_are_counted(page: Page, watched: Service) -> None:
    expect(shown(page, "rate")).to_have_text(re.compile(r"\d"))
    refused = page.locator("#errors-kinds")

    def count() -> float:
        with watched.client() as client:
            client.post("/v1/predict", content=b"nonsense")
        found = re.search(r"([\d.,]+) refused", refused.inner_text())
        return number(found.group(1)) if found else 0.0

    eventually(page, lambda: count() > 0, lambda: True)


def test_five_hundred_test_digits_are_sent_and_counted(page: Page) -> None:
    expect(shown(page, "rate")).to_have_text(re.compile(r"\d"))
    send = page.get_by_role("button", name="Send 500 test digits")
    send.click()
    salvo = shown(page, "salvo")
    expect(salvo).to_contain_text(re.compile(r"\d+ of 500 right.* in [\d.]+ m?s"), timeout=60_000)
    assert number(salvo.inner_text()) > 450
    expect(send).to_be_enabled()
    eventually(page, lambda: number(shown(page, "rate").inner_text()) > 0, lambda: True)


def test_only_the_live_view_counts_as_a_watcher(page: Page, watched: Service) -> None:
    expect(page.locator("#watchers")).to_have_text("1")
    page.locator("nav").get_by_role("link", name="Draw").click()
    wait_until(lambda: metric(watched, "live_watchers") == 0, watched)
    page.locator("nav").get_by_role("link", name="Live").click()
    wait_until(lambda: metric(watched, "live_watchers") == 1, watched)
    expect(page.locator("#watchers")).to_have_text("1")


def test_the_name_of_the_replica_is_shown(page: Page) -> None:
    expect(shown(page, "replica")).to_have_text(socket.gethostname())
    expect(shown(page, "replicas")).to_be_hidden()
