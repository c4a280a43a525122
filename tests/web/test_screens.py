"""The page on screens of every shape: what is in sight, and what the layout shows first."""

from functools import partial

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from tests.support.running import Service
from tests.web.eventually import eventually
from tests.web.pad import draw, expect_answer, pad
from tests.web.pens import Finger
from tests.web.shapes import DIGITS
from tests.web.visit import visiting

PHONE = {"width": 390, "height": 500}
PHONE_ON_ITS_SIDE = {"width": 844, "height": 390}
WITH_A_HEADING = ("Gallery", "Models", "Training", "Live")
LINES = "it => it.getClientRects().length"


def box(element: Locator) -> FloatRect:
    found = element.bounding_box()
    assert found is not None, f"{element} is not shown"
    return found


def expect_at_the_top(page: Page) -> None:
    expect(page.locator("header")).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") == 0


def go_to(page: Page, view: str) -> None:
    """Returns once the view is shown: its heading and that of the view before have one locator."""
    link = page.locator("nav").get_by_role("link", name=view)
    link.click()
    expect(link).to_have_attribute("aria-current", "page")


def test_a_phone_on_its_side_shows_the_whole_pad_and_scrolls_beside_it(
    browser: Browser, service: Service
) -> None:
    with visiting(browser, service.url, viewport=PHONE_ON_ITS_SIDE, has_touch=True) as (page, _):
        expect(pad(page)).to_be_in_viewport(ratio=1)
        expect(page.locator("header")).to_be_in_viewport(ratio=1)
        sheet = box(pad(page))
        draw(page, DIGITS[3])
        expect_answer(page, "3")
        finger, beside = Finger(page), sheet["x"] + sheet["width"] + 150
        finger.press((beside, 350))
        for y in range(340, 50, -10):
            finger.move((beside, y))
        finger.lift((beside, 50))
        eventually(page, partial(page.evaluate, "scrollY > 0"), lambda: True)
        expect(page.locator("#stages")).to_be_in_viewport()
        expect(pad(page)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", [320, 390, 641, 700, 750, 761, 844, 1000, 1280])
def test_the_links_to_the_views_stand_in_one_row(
    width: int, browser: Browser, service: Service
) -> None:
    with visiting(browser, service.url, viewport={"width": width, "height": 800}) as (page, _):
        links = page.locator("nav a")
        assert len({box(link)["y"] for link in links.all()}) == 1
        assert [link.evaluate(LINES) for link in links.all()] == [1] * links.count()
        brand, theme = box(page.locator(".brand")), box(page.locator("#theme"))
        assert abs(brand["y"] + brand["height"] / 2 - theme["y"] - theme["height"] / 2) < 1


@pytest.mark.parametrize("view", ["draw", "gallery", "live"])
def test_a_link_to_a_view_leaves_the_header_in_sight(
    view: str, browser: Browser, service: Service
) -> None:
    with visiting(browser, f"{service.url}/#{view}", viewport=PHONE) as (page, _):
        expect(page.locator(f"#{view}")).to_be_visible()
        expect_at_the_top(page)


def test_a_chosen_mistake_opens_at_the_top_and_back_returns_to_it(
    browser: Browser, service: Service
) -> None:
    with visiting(browser, f"{service.url}/#gallery", viewport=PHONE) as (page, _):
        mistake = page.locator("#mistakes button").last
        mistake.scroll_into_view_if_needed()
        eventually(page, partial(page.evaluate, "history.state?.scrolled > 0"), lambda: True)
        mistake.click()
        expect(page.locator("#answer")).not_to_be_empty()
        expect_at_the_top(page)
        page.go_back()
        expect(mistake).to_be_in_viewport()


def test_headings_stand_in_the_same_place_in_every_view(page: Page) -> None:
    places = set()
    for view in WITH_A_HEADING:
        go_to(page, view)
        shown = page.get_by_role("heading", level=1)
        expect(shown).to_be_visible()
        heading = box(shown)
        places.add((heading["x"], heading["y"]))
    assert len(places) == 1, places


def test_the_keys_of_drawing_are_listed_only_where_one_draws(page: Page) -> None:
    keys = page.locator(".keys")
    expect(keys).to_contain_text("clear")
    for view in WITH_A_HEADING:
        go_to(page, view)
        expect(keys).to_be_hidden()


def test_the_quiz_stands_above_the_answers_and_hides_them_while_it_runs(page: Page) -> None:
    go_to(page, "Gallery")
    mistakes = page.locator("#mistakes")
    expect(mistakes.get_by_role("button").first).to_be_visible()
    assert box(page.locator("#quiz"))["y"] < box(mistakes)["y"]
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("img", name="The image in question")).to_be_visible()
    expect(mistakes).to_be_hidden()


def test_no_tool_is_louder_than_the_others(page: Page) -> None:
    tools = page.get_by_role("toolbar", name="Tools").get_by_role("button")
    assert (
        len({tool.evaluate("it => getComputedStyle(it).backgroundColor") for tool in tools.all()})
        == 1
    )


def test_an_empty_pad_announces_what_will_be_shown_in_place_of_empty_bars(page: Page) -> None:
    outlook = page.get_by_text("The prediction appears while you draw")
    expect(outlook).to_be_visible()
    expect(page.locator("#bars")).to_be_hidden()
    draw(page, DIGITS[1])
    expect_answer(page, "1")
    expect(outlook).to_be_hidden()
    expect(page.locator("#bars")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(outlook).to_be_visible()


def test_a_large_window_is_used(browser: Browser, service: Service) -> None:
    size = {"width": 2560, "height": 1400}
    with visiting(browser, service.url, viewport=size) as (page, _):
        assert box(page.locator("main"))["width"] >= 0.65 * size["width"]
        assert box(pad(page))["width"] >= 640


def test_the_dials_name_their_peak_unit_and_time(page: Page) -> None:
    go_to(page, "Live")
    page.get_by_role("button", name="Send 500").click()
    expect(page.locator("#rate-peak")).to_contain_text("a second")
    expect(page.locator("#p99-peak")).to_contain_text("s")
    for name in ("rate", "p50", "p99"):
        trend = page.locator(".trend").filter(has=page.locator(f"#{name}-line"))
        expect(trend).to_contain_text("peak")
        expect(trend).to_contain_text("30 s ago")
        expect(trend).to_contain_text("now")


def test_the_plots_of_a_card_have_titles_on_both_axes_and_legible_numbers(page: Page) -> None:
    go_to(page, "Models")
    page.locator('article[data-version="2"]').get_by_text("Card").click()
    titles = {"Training": ("epoch", "wrong (log scale)"), "Calibration": ("confidence", "right")}
    for plot, expected in titles.items():
        figure = page.get_by_role("figure", name=plot)
        for title in expected:
            expect(figure.get_by_text(title, exact=True)).to_be_visible()
    number = page.locator("svg .times").first
    assert number.evaluate("it => getComputedStyle(it).stroke") == "none"
    assert box(number)["height"] >= 11
