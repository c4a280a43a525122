"""Comparison of two versions on one drawing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from contract.store import Store
from tests.support.running import ADMIN, TOKEN, Service
from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer, pad
from tests.web.shapes import DIGITS
from tests.web.visit import guarded


@pytest.fixture(scope="module")
def models(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("compared")
    shutil.copytree(store.folder, models / "digits")
    return models


@pytest.fixture(scope="module")
def compared(models: Path) -> Iterator[Service]:
    """A service in which 3 serves, with letters as labels; the previous one, 2, is still loaded."""
    with Service.started(models, admin_token=TOKEN, watch_seconds=0) as service:
        with service.client(headers=ADMIN) as client:
            client.post("/v1/models/digits/versions/3/activate").raise_for_status()
        yield service


@pytest.fixture
def visit(tab: Page, compared: Service) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, compared.url) as visit:
        yield visit


def compare_with(page: Page, version: str) -> None:
    page.get_by_label("Compare with").select_option(version)


def test_a_second_version_answers_beside_the_first(page: Page) -> None:
    compare_with(page, "2")
    draw(page, DIGITS[7])
    expect_answer(page, "h")
    other = page.locator("#other-answer")
    expect(other).to_have_text("7")
    one, two = answer(page).bounding_box(), other.bounding_box()
    assert one is not None
    assert two is not None
    assert abs(one["y"] - two["y"]) < one["height"] / 2
    assert two["x"] > one["x"]


def test_letters_are_drawn_and_not_called_digits(page: Page) -> None:
    expect(page.get_by_role("button", name="Random test image")).to_be_visible()
    expect(page.locator("#invitation")).to_have_text("Draw an image")
    expect(pad(page)).to_be_visible()


def test_an_existing_drawing_is_compared_at_once(page: Page) -> None:
    draw(page, DIGITS[4])
    expect_answer(page, "e")
    compare_with(page, "2")
    expect(page.locator("#other-answer")).to_have_text("4")


def test_both_answers_follow_the_drawing(page: Page) -> None:
    compare_with(page, "2")
    for digit, letter in ((1, "b"), (5, "f")):
        page.keyboard.press("c")
        draw(page, DIGITS[digit])
        expect_answer(page, letter)
        expect(page.locator("#other-answer")).to_have_text(str(digit))
    page.keyboard.press("c")
    expect(page.locator("#other-answer")).to_be_hidden()


def test_the_comparison_can_be_ended(page: Page) -> None:
    compare_with(page, "2")
    draw(page, DIGITS[7])
    expect(page.locator("#other-answer")).to_be_visible()
    compare_with(page, "")
    expect(page.locator("#other-answer")).to_be_hidden()
    expect_answer(page, "h")


def test_the_serving_version_is_not_offered_for_comparison(page: Page) -> None:
    options = page.get_by_label("Compare with").locator("option")
    expect(options).to_have_count(3)
    values = options.evaluate_all("(them) => them.map((it) => it.value)")
    assert sorted(values) == ["", "1", "2"]
    expect(options.first).to_have_text("off")


def test_a_version_that_is_not_loaded_needs_the_admin_token(page: Page, guard: Guard) -> None:
    guard.allow("status of 401 .*/versions/1/predict")
    draw(page, DIGITS[7])
    expect_answer(page, "h")
    compare_with(page, "1")
    expect(page.locator("#notice")).to_contain_text("admin token")
    expect(page.locator("#other-answer")).to_be_hidden()
    page.locator("nav").get_by_role("link", name="Models").click()
    page.get_by_label("Admin token").fill(TOKEN)
    page.locator("nav").get_by_role("link", name="Draw").click()
    compare_with(page, "1")
    expect(page.locator("#other-answer")).not_to_be_empty()


def test_a_version_that_is_published_meanwhile_is_offered(page: Page, models: Path) -> None:
    options = page.get_by_label("Compare with").locator("option")
    expect(options).to_have_count(3)
    shutil.copytree(models / "digits/1", models / "digits/4")
    try:
        expect(options.filter(has_text="version 4, not loaded")).to_have_count(1)
    finally:
        shutil.rmtree(models / "digits/4")
