"""Use without a mouse: the pen moved by arrow keys, shortcuts, the order of Tab."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.running import Service
from tests.web.pad import answer, expect_answer, ink, pad
from tests.web.visit import visiting

# Keys with counts: a 1 and a 7, wherever the pen is when the drawing area gets the focus.
SEVEN = [
    ("Shift+ArrowLeft", 3), (" ", 1), ("Shift+ArrowRight", 6),
    *[("Shift+ArrowDown", 1), ("ArrowLeft", 2)] * 6, (" ", 1),
]  # fmt: skip
ONE = [(" ", 1), ("Shift+ArrowDown", 6), (" ", 1)]
REACHED = {
    "Drawing area", "Undo", "Eraser", "Brush size", "Clear", "Predict", "Random test digit",
    "Upload", "Camera", "Compare with", "Draw", "Gallery", "Models", "Live",
}  # fmt: skip
# The focused element, by its label or its text.
NAME = """() => {
  const { activeElement: it } = document;
  const label = it.getAttribute("aria-label") ?? it.labels?.[0]?.innerText ?? it.innerText;
  return it === document.body ? "" : label.trim();
}"""


def press(page: Page, keys: list[tuple[str, int]]) -> None:
    for key, times in keys:
        for _ in range(times):
            page.keyboard.press(key)


def test_a_seven_can_be_drawn_with_keys_alone(page: Page) -> None:
    pad(page).focus()
    press(page, SEVEN)
    page.keyboard.press("Enter")
    expect_answer(page, "7")
    page.keyboard.press("c")
    expect(answer(page)).to_be_empty()


def test_a_one_can_be_drawn_with_keys_alone(page: Page) -> None:
    pad(page).focus()
    press(page, ONE)
    expect_answer(page, "1")


def test_the_pen_draws_only_while_it_is_down(page: Page) -> None:
    pad(page).focus()
    blank = ink(page)
    press(page, [("Shift+ArrowDown", 3)])
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    press(page, [(" ", 1), ("Shift+ArrowDown", 3), (" ", 1)])
    drawn = ink(page)
    assert drawn > blank
    press(page, [("ArrowUp", 1)])
    first = ink(page)
    press(page, [("Shift+ArrowUp", 3)])
    assert abs(ink(page) - first) < 0.1 * drawn  # except for the mark of the pen


@pytest.mark.parametrize("key", ["c", "Control+z"])
def test_a_pen_that_is_down_keeps_drawing_after_undo_or_clear(page: Page, key: str) -> None:
    pad(page).focus()
    press(page, [(" ", 1), ("Shift+ArrowRight", 3), (key, 1)])
    expect(answer(page)).to_be_empty()
    press(page, [("Shift+ArrowDown", 6), (" ", 1)])
    expect_answer(page, "1")


def test_shift_moves_the_pen_farther(page: Page) -> None:
    drawn = []
    for key in ("ArrowDown", "Shift+ArrowDown"):
        pad(page).focus()
        press(page, [(" ", 1), (key, 5), (" ", 1)])
        drawn.append(ink(page))
        page.keyboard.press("c")
    assert drawn[1] > 1.5 * drawn[0]


def test_keys_that_draw_do_not_scroll_the_page(browser: Browser, service: Service) -> None:
    low = {"width": 800, "height": 300}
    with visiting(browser, service.url, viewport=low) as (page, _):
        pad(page).focus()
        before = page.evaluate("scrollY")
        press(page, [("ArrowDown", 3), (" ", 2)])
        assert page.evaluate("scrollY") == before


def test_the_state_of_the_pen_is_announced(page: Page) -> None:
    pad(page).focus()
    page.keyboard.press(" ")
    announcement = page.get_by_role("status").filter(has_text="Pen down")
    expect(announcement).to_have_count(1)


def test_tab_reaches_every_control(page: Page) -> None:
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        name = page.evaluate(NAME)
        reached |= {wanted for wanted in REACHED if name.startswith(wanted)}
    # redo and undo are disabled
    assert reached >= REACHED - {"Undo"}, REACHED - reached


def test_the_focus_is_visible(page: Page) -> None:
    marked = """() => {
      const { activeElement: it } = document;
      const seen = it.type === "file" ? it.nextElementSibling : it;
      const { outlineStyle, outlineWidth } = getComputedStyle(seen);
      return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    }"""
    page.keyboard.press("Tab")
    while name := page.evaluate(NAME):
        assert page.evaluate(marked), f"one does not see that the focus is on {name!r}"
        page.keyboard.press("Tab")


def test_the_navigation_can_be_skipped(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(NAME).startswith("Drawing area")


def test_shortcuts_are_off_in_text_fields(page: Page) -> None:
    page.get_by_role("link", name="Models").click()
    token = page.get_by_label("Admin token")
    token.fill("")
    token.press_sequentially("ecrz")
    expect(token).to_have_value("ecrz")
    page.get_by_role("link", name="Draw", exact=True).click()
    expect(page.get_by_role("button", name="Eraser")).to_have_attribute("aria-pressed", "false")
    expect(answer(page)).to_be_empty()
