"""The page of examples/clients classifies a file in Chromium, from an origin of its own."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.examples.programs import EXAMPLES
from tests.support.running import Service
from tests.web.chromium import NoChromium, chromium, launched


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The address of a server of static files, such as the page."""
    handler = partial(SimpleHTTPRequestHandler, directory=EXAMPLES / "clients")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    try:
        chromium()
    except NoChromium as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser.new_page()


def test_a_page_of_a_permitted_origin_shows_the_likeliest_labels(
    models: Path, images: Path, origin: str, page: Page
) -> None:
    with Service.started(models, cors_origins=origin) as service:
        page.goto(f"{origin}/predict.html?service={service.url}")
        page.get_by_label("Image").set_input_files(images / "seven.png")
        expect(page.get_by_role("status")).to_contain_text("7: ")


def test_the_page_shows_why_a_file_is_refused(
    models: Path, tmp_path: Path, origin: str, page: Page
) -> None:
    (tmp_path / "notes.png").write_text("no image")
    with Service.started(models, cors_origins=origin) as service:
        page.goto(f"{origin}/predict.html?service={service.url}")
        page.get_by_label("Image").set_input_files(tmp_path / "notes.png")
        expect(page.get_by_role("status")).to_contain_text("the file is no PNG")
