"""The weight of the page: what a browser downloads at its first visit and at later ones."""

from contextlib import closing

from playwright.sync_api import Browser, Page, expect

from tests.support.running import Service
from tests.web.visit import guarded

LIMIT = 72 * 1024  # bytes of the page and its files as they are sent, without headers
# The files of the page that came over the network, and not from the browser's cache.
DOWNLOADED = """() => performance.getEntriesByType("resource")
    .filter((entry) => entry.name.includes("/web/") && entry.transferSize > 0)
    .map((entry) => entry.name)"""
# Whether the page itself was only revalidated: less came over the network than it has.
REVALIDATED = """() => {
    const [{ transferSize, encodedBodySize }] = performance.getEntriesByType("navigation");
    return transferSize > 0 && transferSize < encodedBodySize;
}"""
SIZE = """() => performance.getEntries().filter((entry) => entry.initiatorType !== "fetch")
    .reduce((sum, entry) => sum + (entry.encodedBodySize ?? 0), 0)"""


def expect_loaded(page: Page) -> None:
    expect(page.locator("#badge")).to_contain_text("version")


def test_a_second_visit_revalidates_the_page_and_downloads_nothing(
    browser: Browser, service: Service
) -> None:
    with closing(browser.new_context()) as context:
        with guarded(context.new_page(), service.url) as (page, _):
            expect_loaded(page)
            assert page.evaluate(DOWNLOADED)
        with guarded(context.new_page(), service.url) as (page, _):
            expect_loaded(page)
            assert page.evaluate(DOWNLOADED) == []
            assert page.evaluate(REVALIDATED)


def test_the_first_visit_is_small(browser: Browser, service: Service) -> None:
    with (
        closing(browser.new_context()) as context,
        guarded(context.new_page(), service.url) as (page, _),
    ):
        expect_loaded(page)
        assert page.evaluate(SIZE) <= LIMIT
