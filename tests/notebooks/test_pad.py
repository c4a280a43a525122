"""The drawing pad is used in JupyterLab, in Chromium, with a pointer, a finger and the keyboard."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Playwright, expect, sync_playwright

from contract.store import Store
from contract.version import Version
from tests.interop.proxy import free_port
from tests.support.program import PATIENCE, Program
from tests.support.running import ROOT, Service, clean_environment
from tests.web.chromium import NoChromium, chromium, launched

SEVEN = [(70, 60), (200, 60), (120, 220)]  # corners of a drawing, in pixels of the canvas
CELL = """
import sys

sys.path.insert(0, {root!r})
from notebooks.pad import DrawingPad

DrawingPad({url!r})
"""


class Lab(Program):
    """JupyterLab, which shows the notebooks in a folder."""

    def __init__(self, folder: Path) -> None:
        options = ["--no-browser", "--allow-root", "--IdentityProvider.token=", "--port-retries=0"]
        home = {name: str(folder / name.lower()) for name in ("HOME", "JUPYTER_RUNTIME_DIR")}
        super().__init__(
            [sys.executable, "-m", "jupyterlab", *options, f"--port={free_port()}"],
            folder=folder,
            environment={**clean_environment(), **home},
            stderr=subprocess.PIPE,
        )

    def hear(self, line: str) -> bool:
        found = re.search(r"(http://127\.0\.0\.1:\d+)/lab", line)
        if found:
            self.url = found.group(1)
        return found is not None


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    try:
        chromium()
    except NoChromium as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def pad(
    playwright: Playwright,
    published: tuple[Store, Version],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Locator]:
    """The pad in the output of a cell that was run, connected to a service."""
    folder = tmp_path_factory.mktemp("lab")
    with (
        Service.started(published[0].folder.parent) as service,
        Lab(folder).while_ready() as lab,
        launched(playwright) as browser,
    ):
        cell = nbformat.v4.new_code_cell(CELL.format(root=str(ROOT), url=service.url).strip())
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = nbformat.v4.new_notebook(cells=[cell], metadata=kernel)
        nbformat.write(notebook, folder / "pad.ipynb")
        page = browser.new_context(has_touch=True).new_page()
        page.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        page.goto(f"{lab.url}/lab/tree/pad.ipynb")
        expect(page.get_by_text("| Idle")).to_be_visible()  # the kernel's state
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        pad = page.locator(".drawing-pad")
        expect(pad).to_be_visible()
        yield pad
        expect.set_options(timeout=None)


@pytest.fixture(autouse=True)
def blank(pad: Locator) -> None:
    pad.get_by_role("button", name="Clear").click()
    expect(pad.get_by_role("status")).to_have_text("")


def draw(pad: Locator, points: list[tuple[int, int]]) -> None:
    """Draw lines through points of the canvas with the mouse."""
    box = pad.locator("canvas").bounding_box()
    assert box is not None
    mouse = pad.page.mouse
    (x, y), *others = points
    mouse.move(box["x"] + x, box["y"] + y)
    mouse.down()
    for x, y in others:
        mouse.move(box["x"] + x, box["y"] + y, steps=8)
    mouse.up()


def test_a_drawing_is_classified_while_the_pen_is_down(pad: Locator) -> None:
    draw(pad, SEVEN)
    expect(pad.get_by_role("status")).to_have_text("7")
    expect(pad.get_by_role("listitem").first).to_contain_text(re.compile(r"^7[\d.]+ %"))


def test_undo_removes_the_last_stroke(pad: Locator) -> None:
    draw(pad, SEVEN)
    expect(pad.get_by_role("status")).to_have_text("7")
    pad.get_by_role("button", name="Undo").click()
    expect(pad.get_by_role("status")).to_have_text("")


def test_a_digit_can_be_drawn_with_the_keyboard(pad: Locator) -> None:
    """A one: the pen starts in the middle of the canvas, moves up, and draws downwards."""
    pad.locator("canvas").focus()
    keyboard = pad.page.keyboard
    for _ in range(8):
        keyboard.press("ArrowUp")
    keyboard.press("Space")
    for _ in range(16):
        keyboard.press("ArrowDown")
    expect(pad.get_by_role("status")).to_have_text("1")
    keyboard.press("Delete")
    expect(pad.get_by_role("status")).to_have_text("")


def test_a_finger_draws(pad: Locator) -> None:
    touches = pad.page.context.new_cdp_session(pad.page)
    box = pad.locator("canvas").bounding_box()
    assert box is not None

    def touch(kind: str, *points: tuple[int, int]) -> None:
        at = [{"x": box["x"] + x, "y": box["y"] + y} for x, y in points]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", (140, 50))
    for y in range(60, 240, 10):
        touch("touchMove", (140, y))
    touch("touchEnd")
    expect(pad.get_by_role("status")).to_have_text("1")
