"""The documentation site as built: it needs no other host, and its search works. make test-site

`make docs` has checked that every link, anchor and page of the navigation exists.
"""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.running import ROOT
from tests.web.chromium import NoChromium, chromium, launched
from tests.web.guard import Guard

SITE = ROOT / "site"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of the built site."""
    assert (SITE / "index.html").exists(), "make docs builds it"
    handler = partial(Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        chromium()
    except NoChromium as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Browser, url: str) -> Iterator[Page]:
    """A tab that fails the test if it sends a request to another host or logs an error."""
    width, height = SIZES[request.param]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        guard = Guard(page, url)
        # The theme's search reports these while a word with a hyphen is typed.
        guard.allow("Invalid query", "reading '_index'")
        yield page
        guard.check()


def test_pages_load_nothing_from_other_hosts() -> None:
    for path in SITE.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="?([^">\s]+)', path.read_text())
        loaded += re.findall(r'<link(?![^>]*canonical)[^>]*\shref="?([^">\s]+)', path.read_text())
        assert not [each for each in loaded if re.match(r"(https?:)?//", each)], path


@pytest.mark.parametrize("name", ["index", "tutorial/index", "reference/settings"])
def test_a_page_is_as_wide_as_the_screen(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/{name}.html")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_the_search_finds_a_problem_type(page: Page, url: str) -> None:
    page.goto(f"{url}/index.html")
    page.keyboard.press("/")
    page.get_by_placeholder("Search").fill("queue-full")
    found = page.locator(".md-search-result__link", has_text="queue-full").first
    expect(found).to_have_attribute("href", re.compile(r"reference/problems\.html"))


def test_a_type_of_an_error_leads_to_its_heading(page: Page, url: str) -> None:
    page.goto(f"{url}/reference/problems.html#queue-full")
    expect(page.locator("#queue-full")).to_be_in_viewport()
