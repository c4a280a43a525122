"""The views: the hash of the address selects the one that is shown."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.running import Service
from tests.web.visit import guarded

VIEWS = {
    "draw": "Draw",
    "gallery": "Gallery",
    "models": "Models",
    "training": "Training",
    "live": "Live",
}


def expect_view(page: Page, shown: str) -> None:
    for view in VIEWS:
        section = page.locator(f"section#{view}")
        (expect(section).to_be_visible if view == shown else expect(section).to_be_hidden)()
    link = page.locator("nav [aria-current]")
    expect(link).to_have_text(VIEWS[shown])
    expect(page).to_have_title(f"{VIEWS[shown]} · digitserve")


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_can_be_linked_to(view: str, tab: Page, service: Service) -> None:
    with guarded(tab, f"{service.url}/#{view}") as (page, _):
        expect_view(page, view)


@pytest.mark.parametrize("address", ["", "#", "#nothing"])
def test_an_address_without_a_view_shows_draw(address: str, tab: Page, service: Service) -> None:
    with guarded(tab, f"{service.url}/{address}") as (page, _):
        expect_view(page, "draw")


def test_links_switch_views_and_back_returns(page: Page) -> None:
    for view, name in VIEWS.items():
        page.locator("nav").get_by_role("link", name=name).click()
        expect_view(page, view)
        assert page.url.endswith(f"/#{view}")
    page.go_back()
    expect_view(page, "training")
    page.go_forward()
    expect_view(page, "live")


def test_a_drawing_is_kept_while_another_view_is_shown(page: Page) -> None:
    page.keyboard.press("r")
    expect(page.locator("#answer")).not_to_be_empty()
    read = page.locator("#answer").inner_text()
    page.get_by_role("link", name="Models").click()
    page.go_back()
    expect(page.locator("#answer")).to_have_text(read)
