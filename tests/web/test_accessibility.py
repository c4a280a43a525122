"""Accessibility: axe-core finds no violation in any view, on small and large screens."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.running import Service
from tests.web.accessibility import expect_accessible
from tests.web.tour import tour
from tests.web.visit import visiting


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation(width: int, theme: Any, browser: Browser, service: Service) -> None:
    size = {"width": width, "height": 800}
    look = {"color_scheme": theme, "reduced_motion": "reduce"}  # a fade-in reduces contrast
    with visiting(browser, service.url, viewport=size, **look) as (page, _):
        expect_accessible(page, "empty")
        for view in tour(page):
            expect_accessible(page, view)


def test_axe_finds_no_violation_in_quiz_camera_and_notice(
    browser: Browser, service: Service
) -> None:
    with visiting(browser, service.url, permissions=["camera"], reduced_motion="reduce") as (
        page,
        _,
    ):
        page.get_by_role("button", name="Camera").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        expect_accessible(page, "camera")
        page.keyboard.press("Escape")
        page.get_by_label("Upload").set_input_files(
            {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear digit"}
        )
        expect(page.locator("#notice")).to_contain_text("not an image")
        expect_accessible(page, "notice")
        page.locator('nav a[href="#gallery"]').click()
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("img", name="The image in question")).to_be_visible()
        expect_accessible(page, "quiz")


def test_axe_detects_violations(page: Page) -> None:
    page.get_by_role("button", name="Undo").evaluate("(it) => it.removeAttribute('aria-label')")
    page.get_by_role("button", name="Clear").evaluate("(it) => it.setAttribute('role', 'nothing')")
    page.get_by_label("Brush size").evaluate("(it) => it.closest('label').replaceWith(it)")
    found = Axe().run(page)
    assert {each["id"] for each in found.response["violations"]} >= {"aria-roles", "label"}
