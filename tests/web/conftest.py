"""One browser, one service of three versions and one film for all tests of the web page.

`make test-web` runs the tests of this folder in a run of their own: Playwright's loop and that of
asynchronous tests do not go together in one process.
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
    """With a camera that sees a seven on a table."""
    sheet = np.pad(seven(side=400), ((40, 40), (120, 120)), constant_values=255)  # (480, 640)
    path = camera.film(sheet, tmp_path_factory.mktemp("camera") / "seven.y4m")
    with launched(playwright, *camera.switches(path)) as browser:
        yield browser


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Tests that change it take a copy."""
    return three_versions(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="session")
def service(store: Store) -> Iterator[Service]:
    """For tests that change nothing that others see."""
    with Service.started(store.folder.parent, admin_token=TOKEN) as service:
        yield service


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Iterator[Page]:
    """Where tests visit the page that need no browser's context of their own: that is quicker."""
    with closing(browser.new_context()) as context:
        yield context.new_page()


@pytest.fixture
def visit(tab: Page, service: Service) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, service.url) as visit:
        yield visit


@pytest.fixture
def page(visit: tuple[Page, Guard]) -> Page:
    """The page as somebody finds it who comes with a mouse and a large window."""
    return visit[0]


@pytest.fixture
def guard(visit: tuple[Page, Guard]) -> Guard:
    return visit[1]
