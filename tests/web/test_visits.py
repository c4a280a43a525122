"""What a browser downloads when the page is visited again."""

from contextlib import closing

from playwright.sync_api import Browser, Page, expect

from tests.support.running import Service
from tests.web.visit import guarded

# The files of the page that came over the network, and not from the browser's cache.
DOWNLOADED = """() => performance.getEntriesByType("resource")
    .filter((entry) => entry.name.includes("/web/") && entry.transferSize > 0)
    .map((entry) => entry.name)"""
# Whether the page itself was only revalidated: less came over the network than it has.
REVALIDATED = """() => {
    const [{ transferSize, encodedBodySize }] = performance.getEntriesByType("navigation");
    return transferSize > 0 && transferSize < encodedBodySize;
}"""


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
