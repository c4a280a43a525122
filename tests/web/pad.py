"""The sheet that the page has one draw on: where it is, what is drawn on it, what is read of it."""

from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.web.pens import Mouse, Pen
from tests.web.shapes import Stroke

DARK = 128  # what is darker than this is ink, where the page is light
FRAME = 0.05  # of the sheet on each side, where the mark of what has the focus may be


def pad(page: Page) -> Locator:
    return page.get_by_label("Drawing area")


def answer(page: Page) -> Locator:
    return page.locator("#answer")


def draw(page: Page, strokes: list[Stroke], pen: Pen | None = None) -> None:
    """With a mouse, if nothing else is given."""
    sheet = pad(page)
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None, "there is no sheet to draw on"
    (pen or Mouse(page)).draw(strokes, box)


def expect_answer(page: Page, label: str) -> None:
    expect(answer(page)).to_have_text(label)


def ink(page: Page) -> int:
    """Pixels of the sheet that are dark, as somebody sees them, where the page is light."""
    seen = Image.open(BytesIO(pad(page).screenshot(animations="disabled"))).convert("L")
    frame = round(FRAME * seen.width)
    return int((np.asarray(seen)[frame:-frame, frame:-frame] < DARK).sum())
