"""Drawing digits with a mouse, a finger and a pen; predictions follow the drawing."""

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.running import Service
from tests.web.pad import answer, draw, expect_answer, ink, pad
from tests.web.pens import Finger, Mouse, Stylus
from tests.web.sent import last_sent_image, record_sent_images
from tests.web.shapes import DIGITS, lines
from tests.web.visit import visiting

LINE = [lines((0.2, 0.3), (0.5, 0.3), (0.8, 0.3))]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("digit", DIGITS)
def test_a_digit_drawn_with_a_mouse_is_recognised(digit: int, page: Page) -> None:
    draw(page, DIGITS[digit])
    expect_answer(page, str(digit))


@pytest.mark.parametrize("digit", [2, 4])
def test_a_digit_drawn_with_a_finger_is_recognised(
    digit: int, browser: Browser, service: Service
) -> None:
    with visiting(browser, service.url, **PHONE) as (page, _):
        draw(page, DIGITS[digit], Finger(page))
        expect_answer(page, str(digit))


def test_drawing_with_a_finger_does_not_scroll_the_page(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, **PHONE) as (page, _):
        pad(page).scroll_into_view_if_needed()
        before = page.evaluate("scrollY")
        draw(page, [lines((0.5, 0.9), (0.5, 0.5), (0.5, 0.1))], Finger(page))
        expect(answer(page)).not_to_be_empty()
        assert page.evaluate("scrollY") == before


def test_a_second_finger_does_not_disturb_the_first(browser: Browser, service: Service) -> None:
    with visiting(browser, service.url, **PHONE) as (page, _):
        box = pad(page).bounding_box()
        assert box is not None
        touch = page.context.new_cdp_session(page)
        for part in range(7):  # downwards; from the third point on, a second finger moves beside it
            fingers = [(0.6, 0.2 + part / 10), (0.2 + 0.2 * (part % 2), 0.5)][: 1 + (part > 2)]
            points = [
                {"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] * y, "id": number}
                for number, (x, y) in enumerate(fingers)
            ]
            kind = "touchStart" if part in (0, 3) else "touchMove"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect_answer(page, "1")


def test_a_digit_drawn_with_a_pen_is_recognised(page: Page) -> None:
    draw(page, DIGITS[3], Stylus(page, pressure=0.4))
    expect_answer(page, "3")


def test_more_pressure_of_a_pen_draws_wider(page: Page) -> None:
    drawn = []
    for pressure in (0.1, 0.5, 0.9):
        draw(page, LINE, Stylus(page, pressure))
        drawn.append(ink(page))
        page.get_by_role("button", name="Clear").click()
    thin, plain, wide = drawn
    assert 1.3 * thin < plain < wide / 1.2


def test_a_larger_brush_draws_wider(page: Page) -> None:
    brush = page.get_by_label("Brush size")
    drawn = []
    for key in ("Home", "End"):
        brush.press(key)
        draw(page, LINE)
        drawn.append(ink(page))
        page.get_by_role("button", name="Clear").click()
    assert drawn[1] > 2 * drawn[0]


def test_a_digit_is_recognised_before_the_pen_is_lifted(page: Page) -> None:
    box = pad(page).bounding_box()
    assert box is not None
    mouse = Mouse(page)
    corners = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in DIGITS[7][0]]
    mouse.press(corners[0])
    for corner in corners[1:]:
        mouse.move(corner)
    expect_answer(page, "7")
    mouse.lift(corners[-1])
    expect_answer(page, "7")


def test_a_line_that_leaves_the_drawing_area_continues_where_it_returns(page: Page) -> None:
    draw(page, [lines((0.5, 0.15), (0.5, 0.5), (1.4, 0.5), (1.4, 0.6), (0.5, 0.6), (0.5, 0.85))])
    expect(answer(page)).not_to_be_empty()
    assert ink(page) > 0
    page.mouse.move(5, 5)
    before = ink(page)
    page.mouse.move(300, 300)
    assert ink(page) == before  # released outside, it draws no more


def test_other_mouse_buttons_draw_nothing(page: Page) -> None:
    box = pad(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down(button="middle")
    page.mouse.move(box["x"] + 150, box["y"] + 150, steps=5)
    page.mouse.up(button="middle")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    expect(answer(page)).to_be_empty()


def test_a_stroke_at_the_edge_is_sent_with_a_margin(page: Page) -> None:
    record_sent_images(page)
    draw(page, [lines((0.01, 0.2), (0.01, 0.8))])
    expect_answer(page, "1")
    pixels = np.asarray(last_sent_image(page).convert("L"))
    assert pixels.min() < 50
    assert (pixels[:, :8] == 255).all()


def test_a_completed_stroke_is_sent_as_it_looks_from_then_on(page: Page) -> None:
    """It is drawn anew at its end, with smoother corners."""
    box = pad(page).bounding_box()
    assert box is not None

    def place(x: float, y: float) -> tuple[float, float]:
        return box["x"] + box["width"] * x, box["y"] + box["height"] * y

    page.mouse.move(*place(0.3, 0.2))
    page.mouse.down()
    for corner in ((0.7, 0.2), (0.4, 0.8)):
        with page.expect_response("**/v1/predict*"):
            page.mouse.move(*place(*corner))
    with page.expect_request("**/v1/predict*"):
        page.mouse.up()
