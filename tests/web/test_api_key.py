"""If the service requires an API key, the page asks for it and keeps it in memory only."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from contract.store import Store
from tests.support.running import Service
from tests.web.guard import Guard
from tests.web.memory import left_behind
from tests.web.pad import draw, expect_answer
from tests.web.shapes import DIGITS
from tests.web.visit import guarded

KEY = "a-key-of-sixteen-letters"


@pytest.fixture(scope="module")
def locked(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, api_keys=KEY) as service:
        yield service


@pytest.fixture
def visit(tab: Page, locked: Service) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, locked.url) as visit:
        visit[1].allow("status of 401")
        yield visit


def question(page: Page) -> Locator:
    return page.get_by_label("API key")


def give(page: Page, key: str) -> None:
    question(page).fill(key)
    question(page).press("Enter")


def test_a_drawing_is_predicted_once_the_key_is_entered(page: Page) -> None:
    expect(question(page)).to_have_attribute("type", "password")
    draw(page, DIGITS[7])
    give(page, KEY)
    expect_answer(page, "7")
    expect(page.locator("#notice")).to_be_empty()
    expect(page.locator("header")).to_contain_text("version 2")


def test_the_key_is_asked_for_between_the_header_and_the_view(page: Page) -> None:
    expect(question(page)).to_be_in_viewport(ratio=1)
    places = [page.locator(part).bounding_box() for part in ("header", "#notice", "main")]
    tops = [place["y"] for place in places if place]
    assert len(tops) == len(places)
    assert tops == sorted(tops)


def test_a_wrong_key_is_asked_for_again(page: Page) -> None:
    draw(page, DIGITS[7])
    give(page, "wrong" * 4)
    expect(question(page)).to_have_value("")
    give(page, KEY)
    expect_answer(page, "7")


@pytest.mark.parametrize("view", ["gallery", "models", "live"])
def test_every_view_works_with_a_key(page: Page, view: str) -> None:
    give(page, KEY)
    page.locator(f'nav a[href="#{view}"]').click()
    content = {"gallery": "#mistakes button", "models": "article", "live": "#watchers:text('1')"}
    expect(page.locator(content[view]).first).to_be_visible()
    expect(page.locator("#notice")).to_be_empty()


def test_the_key_is_kept_in_memory_only(page: Page) -> None:
    draw(page, DIGITS[1])
    give(page, KEY)
    expect_answer(page, "1")
    assert KEY not in left_behind(page)
    page.reload()
    expect(question(page)).to_have_value("")
