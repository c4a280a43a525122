"""Whether the page fits into the window.

Screenshots of every view, width and theme are written to .pictures/, which git ignores.
"""

from playwright.sync_api import Page

from tests.support.running import ROOT

SCREENSHOTS = ROOT / ".pictures"
SIZES = {"small": {"width": 390, "height": 844}, "large": {"width": 1280, "height": 900}}
# Elements wider than the window, except for those in a scrolling container.
STICKS_OUT = """() => {
  const width = document.documentElement.clientWidth;
  const framed = (it) => it.closest(".scrolls") && !it.matches(".scrolls");
  return [...document.querySelectorAll("body *")].filter((it) => {
    const box = it.getBoundingClientRect();
    return box.width && !framed(it) && (box.right > width + 1 || box.left < -1);
  }).filter((it) => !it.closest(".unseen, svg, dialog")).map((it) => it.outerHTML.slice(0, 80));
}"""
SCROLLS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def expect_to_fit(page: Page, name: str) -> None:
    """Also takes the screenshot `name`."""
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    assert not page.evaluate(SCROLLS), f"the page scrolls sideways: {path}"
    assert page.evaluate(STICKS_OUT) == [], path
