"""What one does about a stroke that went wrong: undo, redo, erase, begin anew."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer, ink, pad
from tests.web.shapes import DIGITS, lines

BAR = [lines((0.3, 0.6), (0.7, 0.6))]  # through a 7
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
def test_undo_takes_the_last_stroke_away_and_reads_what_is_left(
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
def test_redo_brings_back_what_was_undone(page: Page, way: tuple[str, str]) -> None:
    draw(page, DIGITS[4])
    four = ink(page)
    for _ in DIGITS[4]:
        button(page, "Undo").click()
    expect(answer(page)).to_be_empty()
    for _ in DIGITS[4]:
        do(page, "Redo", way)
    assert ink(page) == four
    expect_answer(page, "4")


def test_there_is_undo_and_redo_only_where_there_is_something_to_undo_and_redo(page: Page) -> None:
    undo, redo = button(page, "Undo"), button(page, "Redo")
    expect(undo).to_be_disabled()
    expect(redo).to_be_disabled()
    draw(page, DIGITS[1])
    expect(undo).to_be_enabled()
    expect(redo).to_be_disabled()
    undo.click()
    expect(undo).to_be_disabled()
    expect(redo).to_be_enabled()
    draw(page, DIGITS[1])  # another way was taken
    expect(redo).to_be_disabled()


@pytest.mark.parametrize("way", [("button", ""), ("key", "c")])
def test_clear_leaves_an_empty_sheet_and_no_answer(page: Page, way: tuple[str, str]) -> None:
    blank = ink(page)
    draw(page, DIGITS[5])
    expect_answer(page, "5")
    do(page, "Clear", way)
    expect(answer(page)).to_be_empty()
    assert ink(page) <= blank


def test_what_was_cleared_by_mistake_comes_back_with_undo(page: Page) -> None:
    draw(page, DIGITS[4])
    four = ink(page)
    button(page, "Clear").click()
    button(page, "Undo").click()
    assert ink(page) == four
    expect_answer(page, "4")
    button(page, "Redo").click()
    expect(answer(page)).to_be_empty()


def test_a_stroke_that_is_cleared_while_it_is_drawn_is_gone(page: Page) -> None:
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


def test_the_eraser_takes_ink_away_and_what_is_left_is_read(page: Page) -> None:
    draw(page, DIGITS[7])
    seven = ink(page)
    draw(page, BAR)
    barred = ink(page)
    button(page, "Eraser").click()
    draw(page, [lines((0.25, 0.6), (0.4, 0.6)), lines((0.63, 0.6), (0.75, 0.6))])
    assert ink(page) < (seven + barred) / 2
    expect_answer(page, "7")


def test_what_was_erased_comes_back_with_undo(page: Page) -> None:
    draw(page, DIGITS[1])
    one = ink(page)
    button(page, "Eraser").click()
    draw(page, [lines((0.2, 0.5), (0.8, 0.5))])
    assert ink(page) < one
    button(page, "Undo").click()
    assert ink(page) == one


@pytest.mark.parametrize("way", [("button", ""), ("key", "e")])
def test_the_eraser_says_whether_it_is_taken_up(page: Page, way: tuple[str, str]) -> None:
    eraser = button(page, "Eraser")
    for taken_up in ("false", "true", "false"):
        expect(eraser).to_have_attribute("aria-pressed", taken_up)
        do(page, "Eraser", way)


def test_a_sheet_that_was_erased_all_over_is_no_mistake(page: Page, guard: Guard) -> None:
    """The service calls it blank, which the page says in a word where the answer would be."""
    guard.allow("status of 422 .*/v1/predict")
    draw(page, DIGITS[1])
    expect_answer(page, "1")
    button(page, "Eraser").click()
    page.get_by_label("Brush size").press("End")
    for x in (0.4, 0.5, 0.6):
        draw(page, [lines((x, 0.1), (x, 0.9))])
    expect(answer(page)).to_be_empty()
    expect(page.locator("#notice")).to_be_empty()
