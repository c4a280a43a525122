"""The layout of the page: no overflow on narrow screens, two themes, and reduced motion."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.support.pictures import Gray
from tests.support.running import Service
from tests.web.eventually import eventually
from tests.web.layout import SCROLLS, SIZES, expect_to_fit
from tests.web.pad import draw, expect_answer, seen
from tests.web.shapes import DIGITS
from tests.web.tour import tour
from tests.web.visit import visiting

MOVING = "document.getAnimations().filter(({ playState }) => playState === 'running').length"
GRAIN = 24  # of 255
PAPER = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_overflows_in_any_view(
    size: str, theme: Any, browser: Browser, service: Service
) -> None:
    with visiting(
        browser, service.url, viewport=SIZES[size], color_scheme=theme, reduced_motion="reduce"
    ) as (page, _):
        for view in tour(page):
            expect_to_fit(page, f"{view}-{size}-{theme}")


def test_a_very_narrow_window_does_not_scroll_sideways(browser: Browser, service: Service) -> None:
    """320 pixels: a large window at a zoom of 400 %."""
    with visiting(browser, service.url, viewport={"width": 320, "height": 640}) as (page, _):
        for view in tour(page):
            assert not page.evaluate(SCROLLS), view


def test_nothing_moves_with_reduced_motion(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, reduced_motion="reduce") as (page, _):
        for digit in (1, 7):
            page.keyboard.press("c")
            draw(page, DIGITS[digit])
            expect_answer(page, str(digit))
            assert page.evaluate(MOVING) == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_that_of_the_system_until_it_is_changed(
    theme: Any, browser: Browser, service: Service
) -> None:
    with visiting(browser, service.url, color_scheme=theme) as (page, _):
        assert is_dark(page) == (theme == "dark")
        change = page.get_by_role("button", name="Change between light and dark")
        change.click()
        assert is_dark(page) == (theme == "light")
        change.click()
        assert is_dark(page) == (theme == "dark")


def test_a_drawing_is_predicted_the_same_in_both_themes(browser: Browser, service: Service) -> None:
    with (
        visiting(browser, service.url, color_scheme="light") as (light, _),
        visiting(browser, service.url, color_scheme="dark") as (dark, _),
    ):
        for page in (light, dark):
            draw(page, DIGITS[4])
            expect_answer(page, "4")
        eventually(light, lambda: alike(seen(light), seen(dark)), lambda: True)


def alike(one: Gray, other: Gray) -> bool:
    """Up to the difference that arises when the browser merges two moves of the mouse."""
    return int(np.abs(one.astype(int) - other).max()) <= GRAIN


def is_dark(page: Page) -> bool:
    colours = page.evaluate(PAPER).removeprefix("rgb(").removesuffix(")").split(",")
    return sum(int(each) for each in colours) < 3 * 128
