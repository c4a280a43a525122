"""What survives a reload: the theme, the brush and what is on the drawing area."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.support.pictures import SEVEN
from tests.support.running import Service
from tests.web.pad import answer, draw, expect_answer, ink
from tests.web.shapes import DIGITS, lines
from tests.web.visit import visiting


def test_a_drawing_survives_a_reload_and_can_be_undone(page: Page) -> None:
    draw(page, DIGITS[4])
    expect_answer(page, "4")
    before = ink(page)
    page.reload()
    expect_answer(page, "4")
    assert ink(page) == before
    page.get_by_role("button", name="Undo").click()
    assert ink(page) < before


def test_an_image_with_strokes_over_it_survives_a_reload(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(SEVEN)
    page.get_by_label("Upload").set_input_files(path)
    draw(page, [lines((0.2, 0.8), (0.8, 0.8))])
    expect(answer(page)).not_to_be_empty()
    before = ink(page)
    page.reload()
    expect(answer(page)).not_to_be_empty()
    assert ink(page) == before


def test_a_cleared_drawing_does_not_return(page: Page) -> None:
    draw(page, DIGITS[4])
    page.get_by_role("button", name="Clear").click()
    page.reload()
    expect(page.locator("#badge")).to_contain_text("version")
    expect(page.locator("#sure")).to_have_text("Nothing drawn yet")


def test_a_drawing_is_not_shown_in_another_tab(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url) as (page, _):
        draw(page, DIGITS[4])
        expect_answer(page, "4")
        other = page.context.new_page()
        other.goto(service.url)
        expect(other.locator("#badge")).to_contain_text("version")
        expect(answer(other)).to_be_empty()


def test_theme_and_brush_survive_a_reload(page: Page) -> None:
    body, brush = page.locator("body"), page.get_by_label("Brush size")
    light = body.evaluate("(it) => getComputedStyle(it).backgroundColor")
    page.get_by_role("button", name="Change between light and dark").click()
    brush.press("End")
    page.reload()
    expect(body).not_to_have_css("background-color", light)
    expect(brush).to_have_value("14")


def test_the_documentation_of_the_api_has_the_theme_of_the_page(
    browser: Browser, service: Service
) -> None:
    dark = re.compile("dark-mode")
    with visiting(browser, service.url, color_scheme="dark") as (page, guard):
        guard.allow("docs")
        page.goto(f"{service.url}/docs")
        expect(page.locator("html")).to_have_class(dark)
        expect(page.locator(".swagger-ui .info .title")).to_be_visible()
        page.goto(service.url)
        page.get_by_role("button", name="Change between light and dark").click()
        page.goto(f"{service.url}/docs")
        expect(page.locator("html")).not_to_have_class(dark)
