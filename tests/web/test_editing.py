"""Editing a drawing: undo, redo, erase, clear."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer, ink, pad
from tests.web.shapes import DIGITS, lines

BAR = [lines((0.3, 0.6), (0.7, 0.6))]  # crosses a 7
UNDO = [("button", ""), ("key", "Control+z")]
REDO = [("button", ""), ("key", "Control+Shift+z"), ("key", "Control+y")]


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def do(page: Page, name: str, way: tuple[str, str]) -> None:
    if way[0] == "button":
        button(page, name).click()
    else:
        page.keyboard.press(way[1])


@pytest.mark.parametrize("way", UNDO)
def test_undo_removes_the_last_stroke_and_predicts_the_rest(
    page: Page, way: tuple[str, str]
) -> None:
    draw(page, DIGITS[7])
    seven = ink(page)
    draw(page, BAR)
    assert ink(page) > seven
    do(page, "Undo", way)
    assert ink(page) == seven
    expect_answer(page, "7")


@pytest.mark.parametrize("way", REDO)
def test_redo_restores_what_was_undone(page: Page, way: tuple[str, str]) -> None:
    draw(page, DIGITS[4])
    four = ink(page)
    for _ in DIGITS[4]:
        button(page, "Undo").click()
    expect(answer(page)).to_be_empty()
    for _ in DIGITS[4]:
        do(page, "Redo", way)
    assert ink(page) == four
    expect_answer(page, "4")


def test_undo_and_redo_are_enabled_only_if_they_have_an_effect(page: Page) -> None:
    undo, redo = button(page, "Undo"), button(page, "Redo")
    expect(undo).to_be_disabled()
    expect(redo).to_be_disabled()
    draw(page, DIGITS[1])
    expect(undo).to_be_enabled()
    expect(redo).to_be_disabled()
    undo.click()
    expect(undo).to_be_disabled()
    expect(redo).to_be_enabled()
    draw(page, DIGITS[1])  # a new stroke discards what could be redone
    expect(redo).to_be_disabled()


@pytest.mark.parametrize("way", [("button", ""), ("key", "c")])
def test_clear_empties_the_drawing_and_the_answer(page: Page, way: tuple[str, str]) -> None:
    blank = ink(page)
    draw(page, DIGITS[5])
    expect_answer(page, "5")
    do(page, "Clear", way)
    expect(answer(page)).to_be_empty()
    assert ink(page) <= blank


def test_undo_restores_a_cleared_drawing(page: Page) -> None:
    draw(page, DIGITS[4])
    four = ink(page)
    button(page, "Clear").click()
    button(page, "Undo").click()
    assert ink(page) == four
    expect_answer(page, "4")
    button(page, "Redo").click()
    expect(answer(page)).to_be_empty()


def test_clearing_during_a_stroke_discards_it(page: Page) -> None:
    blank, box = ink(page), pad(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 300, steps=5)
    page.keyboard.press("c")
    page.mouse.move(box["x"] + 100, box["y"] + 300, steps=5)
    page.mouse.up()
    assert ink(page) <= blank
    expect(answer(page)).to_be_empty()


def test_the_eraser_removes_ink_and_the_rest_is_predicted(page: Page) -> None:
    draw(page, DIGITS[7])
    seven = ink(page)
    draw(page, BAR)
    barred = ink(page)
    button(page, "Eraser").click()
    draw(page, [lines((0.25, 0.6), (0.4, 0.6)), lines((0.63, 0.6), (0.75, 0.6))])
    assert ink(page) < (seven + barred) / 2
    expect_answer(page, "7")


def test_undo_restores_what_was_erased(page: Page) -> None:
    draw(page, DIGITS[1])
    one = ink(page)
    button(page, "Eraser").click()
    draw(page, [lines((0.2, 0.5), (0.8, 0.5))])
    assert ink(page) < one
    button(page, "Undo").click()
    assert ink(page) == one


@pytest.mark.parametrize("way", [("button", ""), ("key", "e")])
def test_the_eraser_button_shows_whether_it_is_active(page: Page, way: tuple[str, str]) -> None:
    eraser = button(page, "Eraser")
    for taken_up in ("false", "true", "false"):
        expect(eraser).to_have_attribute("aria-pressed", taken_up)
        do(page, "Eraser", way)


def test_a_completely_erased_drawing_is_not_an_error(page: Page, guard: Guard) -> None:
    """The service rejects it as blank, which the page shows in place of an answer."""
    guard.allow("status of 422 .*/v1/predict")
    draw(page, DIGITS[1])
    expect_answer(page, "1")
    button(page, "Eraser").click()
    page.get_by_label("Brush size").press("End")
    for x in (0.4, 0.5, 0.6):
        draw(page, [lines((x, 0.1), (x, 0.9))])
    expect(answer(page)).to_be_empty()
    expect(page.locator("#notice")).to_be_empty()
