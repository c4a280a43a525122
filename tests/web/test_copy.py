"""Copy as: the request for the image on the drawing area is pasted and run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.pictures import SEVEN
from tests.support.running import Service
from tests.web.guard import Guard
from tests.web.pad import draw, expect_answer
from tests.web.shapes import DIGITS
from tests.web.visit import FORGET, visiting

CLIPBOARD = ["clipboard-read", "clipboard-write"]
PROGRAMS = {
    "curl": ["bash"],
    "Python": [sys.executable, "-"],
    "JavaScript": ["node", "--input-type=module", "-"],
}
NAME = "it's a 7.png"


@pytest.fixture(scope="module")
def opened(browser: Browser, service: Service) -> Iterator[tuple[Page, Guard]]:
    with visiting(browser, service.url, permissions=CLIPBOARD) as visit:
        yield visit


@pytest.fixture
def visit(opened: tuple[Page, Guard]) -> tuple[Page, Guard]:
    opened[0].evaluate(FORGET)
    opened[0].reload()
    return opened


def copied(page: Page, language: str) -> str:
    page.get_by_role("button", name=language, exact=True).click()
    expect(page.locator("#copied")).to_contain_text(f"Copied as {language}")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def run(language: str, text: str, folder: Path) -> str:
    """What the pasted text prints."""
    program = PROGRAMS[language]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    done = subprocess.run(
        program, input=text, cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def label(language: str, printed: str) -> str:
    """Of the prediction in what was printed, in the notation of the language."""
    if language == "curl":
        (prediction,) = json.loads(printed)["predictions"]
        return str(prediction["label"])
    quoted = printed.replace('"', "'").replace("label:", "'label':")
    return quoted.partition("'label': '")[2][0]


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_copied_request_predicts_the_drawing(page: Page, language: str, tmp_path: Path) -> None:
    draw(page, DIGITS[3])
    expect_answer(page, "3")
    assert label(language, run(language, copied(page, language), tmp_path)) == "3"


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_copied_request_names_an_uploaded_file(
    page: Page, language: str, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(SEVEN)
    page.get_by_label("Upload").set_input_files(path)
    expect_answer(page, "7")
    text = copied(page, language)
    expect(page.locator("#copied")).to_contain_text(f"for {NAME} in the current directory")
    assert len(text) < 500
    assert label(language, run(language, text, tmp_path)) == "7"


def test_the_text_is_shown_where_the_page_may_not_use_the_clipboard(page: Page) -> None:
    draw(page, DIGITS[1])
    expect_answer(page, "1")
    page.evaluate("() => { delete Object.getPrototypeOf(navigator).clipboard }")
    page.get_by_role("button", name="curl", exact=True).click()
    shown = page.get_by_label("The request, to be copied")
    expect(shown).to_be_focused()
    assert shown.input_value().startswith("curl ")
    assert page.evaluate("getSelection().toString()") == shown.input_value()


def test_there_is_nothing_to_copy_without_an_image(page: Page) -> None:
    expect(page.get_by_role("group", name="Copy as")).to_be_hidden()
