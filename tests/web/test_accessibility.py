"""Accessibility: axe-core finds no violation in any view, on small and large screens."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.running import Service
from tests.web.accessibility import expect_accessible, violations
from tests.web.tour import tour
from tests.web.visit import visiting

# The colours of an element's border, of its background and of the page's.
BORDER = """(it) => {
  const rgb = (colour) => colour.match(/\\d+/g).slice(0, 3).map(Number);
  const { borderTopColor, backgroundColor } = getComputedStyle(it);
  const page = getComputedStyle(document.body).backgroundColor;
  return [borderTopColor, backgroundColor, page].map(rgb);
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation(width: int, theme: Any, browser: Browser, service: Service) -> None:
    size = {"width": width, "height": 800}
    look = {"color_scheme": theme, "reduced_motion": "reduce"}  # a fade-in reduces contrast
    with visiting(browser, service.url, viewport=size, **look) as (page, _):
        expect_accessible(page, "empty")
        for view in tour(page):
            if view == "models":  # with two cards open, whose parts must be distinguishable
                page.locator('article[data-version="1"]').get_by_text("Card").click()
                expect(page.locator(".sheet-of-facts")).to_have_count(2)
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_filled_in_or_drawn_on_has_a_visible_border(
    theme: Any, browser: Browser, service: Service
) -> None:
    """A contrast of 3:1 to its own background and to the page's (WCAG 1.4.11)."""
    with visiting(browser, service.url, color_scheme=theme) as (page, _):
        expect(page.locator("#badge")).to_contain_text("version")
        for selector in ("#sheet", "#other", "#token", "#start-training [name=data]"):
            border, *backgrounds = page.locator(selector).evaluate(BORDER)
            assert min(contrast(border, each) for each in backgrounds) >= 3, selector


def contrast(one: list[int], other: list[int]) -> float:
    """Of two colours (red, green, blue), 0..255, as WCAG defines it: 1 to 21."""
    darker, lighter = sorted(luminance(each) + 0.05 for each in (one, other))
    return lighter / darker


def luminance(colour: list[int]) -> float:
    shares = [level / 255 for level in colour]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_axe_detects_violations(page: Page) -> None:
    page.get_by_role("button", name="Undo").evaluate("(it) => it.removeAttribute('aria-label')")
    page.get_by_role("button", name="Clear").evaluate("(it) => it.setAttribute('role', 'nothing')")
    page.get_by_label("Brush size").evaluate("(it) => it.closest('label').replaceWith(it)")
    page.locator("#predict").evaluate("(it) => it.setAttribute('aria-label', 'Something else')")
    found = {each["id"] for each in violations(page)}
    assert found >= {"aria-roles", "label", "label-content-name-mismatch"}
