"""The views with content in each, for tests and screenshots."""

from collections.abc import Iterator

from playwright.sync_api import Page, expect

from tests.web.pad import draw, expect_answer
from tests.web.shapes import DIGITS


def tour(page: Page, version: str = "2") -> Iterator[str]:
    """Yield the name of each view when its content is complete; the card of `version` is open."""
    draw(page, DIGITS[3])
    expect_answer(page, "3")
    yield "draw"
    page.locator('nav a[href="#gallery"]').click()
    expect(page.locator("#mistakes button").first).to_be_visible()
    yield "gallery"
    page.locator('nav a[href="#models"]').click()
    page.locator(f'article[data-version="{version}"]').get_by_text("Card").click()
    expect(page.get_by_role("figure").first).to_be_visible()
    yield "models"
    page.locator('nav a[href="#training"]').click()
    expect(page.get_by_text("Retraining is not set up")).to_be_visible()
    yield "set-up"
    page.locator('nav a[href="#live"]').click()
    expect(page.locator("#watchers")).to_have_text("1")
    yield "live"
