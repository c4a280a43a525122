"""One browser, one service with three versions and one film for all tests of the web page.

`make test-web` runs the tests of this folder separately: Playwright's event loop and that of
asynchronous tests cannot run in one process.
"""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from contract.store import Store
from tests.support.pictures import seven
from tests.support.running import TOKEN, Service
from tests.web import camera
from tests.web.chromium import NoChromium, chromium, launched
from tests.web.guard import Guard
from tests.web.versions import three_versions
from tests.web.visit import guarded


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    try:
        chromium()
    except NoChromium as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with a camera that shows a seven on a table."""
    sheet = np.pad(seven(side=400), ((40, 40), (120, 120)), constant_values=255)  # (480, 640)
    path = camera.film(sheet, tmp_path_factory.mktemp("camera") / "seven.y4m")
    with launched(playwright, *camera.switches(path)) as browser:
        yield browser


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Tests that modify it use a copy."""
    return three_versions(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="session")
def service(store: Store) -> Iterator[Service]:
    """A service for tests that do not change its state."""
    with Service.started(store.folder.parent, admin_token=TOKEN) as service:
        yield service


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Iterator[Page]:
    """A shared tab for tests that need no browser context of their own, which is faster."""
    with closing(browser.new_context()) as context:
        yield context.new_page()


@pytest.fixture
def visit(tab: Page, service: Service) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, service.url) as visit:
        yield visit


@pytest.fixture
def page(visit: tuple[Page, Guard]) -> Page:
    """The page as opened by a user with a mouse and a large window."""
    return visit[0]


@pytest.fixture
def guard(visit: tuple[Page, Guard]) -> Guard:
    return visit[1]
