"""The drawing area of the page: its position, drawing on it, and the answer shown for it."""

from base64 import b64decode
from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.support.pictures import Gray
from tests.web.pens import Mouse, Pen
from tests.web.shapes import Stroke

DARK = 128  # in the light theme, darker pixels are ink
FRAME = 0.05  # fraction of the area at each side that may have the mark of the focus


def pad(page: Page) -> Locator:
    return page.get_by_label("Drawing area")


def answer(page: Page) -> Locator:
    return page.locator("#answer")


def draw(page: Page, strokes: list[Stroke], pen: Pen | None = None) -> None:
    """Draw with a mouse, or with the given pen."""
    sheet = pad(page)
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None, "there is no sheet to draw on"
    (pen or Mouse(page)).draw(strokes, box)


def expect_answer(page: Page, label: str) -> None:
    expect(answer(page)).to_have_text(label)


def seen(page: Page) -> Gray:
    """The input of the network for the answer that is shown."""
    source = page.locator("#seen").get_attribute("src") or ""
    return np.asarray(Image.open(BytesIO(b64decode(source.partition(",")[2]))))


def ink(page: Page) -> int:
    """The number of dark pixels of the area as displayed, in the light theme."""
    seen = Image.open(BytesIO(pad(page).screenshot(animations="disabled"))).convert("L")
    frame = round(FRAME * seen.width)
    return int((np.asarray(seen)[frame:-frame, frame:-frame] < DARK).sum())
