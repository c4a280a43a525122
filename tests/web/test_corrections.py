"""Users correct answers under the image, and an admin reviews the corrections."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from contract.card import StretchPreparation
from contract.store import Store
from contract.version import Version
from tests.support.classifiers import publish_classifier
from tests.support.pictures import encoded
from tests.support.running import TOKEN, Service
from tests.web.accessibility import expect_accessible
from tests.web.eventually import eventually
from tests.web.guard import Guard
from tests.web.held import answers_held
from tests.web.pad import draw, expect_answer, seen
from tests.web.shapes import DIGITS
from tests.web.visit import guarded

LIST = "**/v1/feedback?state=*"
MANY = tuple(f"breed of dog {at}" for at in range(150))


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    return tmp_path / "feedback"


@pytest.fixture
def correcting(store: Store, feedback: Path) -> Iterator[Service]:
    feedback.mkdir()
    settings: dict[str, object] = {"feedback": feedback, "admin_token": TOKEN}
    with Service.started(store.folder.parent, **settings) as service:
        yield service


@pytest.fixture
def visit(tab: Page, correcting: Service) -> Iterator[tuple[Page, Guard]]:
    with guarded(tab, correcting.url) as visit:
        yield visit


def kept(feedback: Path, label: str) -> list[Path]:
    return [*feedback.glob(f"*/{label}/*.png")]


def corrected(page: Page) -> Locator:
    return page.locator("#corrected")


def correct(page: Page, digit: int, label: str) -> None:
    """Draw a digit and correct the answer by the key of `label`."""
    page.keyboard.press("c")
    draw(page, DIGITS[digit])
    expect_answer(page, str(digit))
    page.keyboard.press(label)
    expect(corrected(page)).to_contain_text("Thank you")


def review(page: Page) -> Locator:
    """The images that wait."""
    page.get_by_role("link", name="Training").click()
    page.get_by_label("Admin token").fill(TOKEN)
    images = page.locator("#corrected-images li")
    expect(images.first).to_be_visible()
    return images


def two_waiting(page: Page) -> Locator:
    for digit, label in ((7, "1"), (4, "9")):
        correct(page, digit, label)
    images = review(page)
    expect(images).to_have_count(2)
    return images


def read_again(page: Page) -> None:
    page.get_by_label("Admin token").evaluate("field => field.form.requestSubmit()")


def test_a_key_keeps_the_very_image_that_was_drawn(page: Page, feedback: Path) -> None:
    correct(page, 7, "1")
    (path,) = kept(feedback, "1")
    pixels = np.asarray(Image.open(path))
    eventually(page, lambda: np.array_equal(pixels, seen(page)), lambda: True)


def test_a_button_does_the_same(page: Page, feedback: Path) -> None:
    draw(page, DIGITS[4])
    expect_answer(page, "4")
    expect(page.get_by_role("button", name="It is 4")).to_be_disabled()
    page.get_by_role("button", name="It is 9").click()
    expect(corrected(page)).to_contain_text("Kept as 9")
    assert kept(feedback, "9")


def test_nothing_is_sent_while_no_answer_is_shown(page: Page, feedback: Path) -> None:
    page.keyboard.press("7")
    expect(page.locator("#correct")).to_be_hidden()
    assert not kept(feedback, "*")


def test_where_no_corrections_are_accepted_none_is_offered(tab: Page, service: Service) -> None:
    with guarded(tab, service.url) as (page, _):
        draw(page, DIGITS[3])
        expect_answer(page, "3")
        page.keyboard.press("5")
        expect(page.locator("#correct")).to_be_hidden()


def test_a_limit_that_is_reached_is_reported(tab: Page, store: Store, tmp_path: Path) -> None:
    settings: dict[str, object] = {"feedback": tmp_path, "feedback_rate": 1}
    with (
        Service.started(store.folder.parent, **settings) as service,
        guarded(tab, service.url) as (page, guard),
    ):
        guard.allow("status of 429")
        correct(page, 7, "1")
        page.keyboard.press("2")
        expect(corrected(page)).to_contain_text("Not kept: ")
        expect(corrected(page)).to_contain_text("DIGITSERVE_FEEDBACK_RATE")


def test_of_many_labels_one_is_chosen_from_a_list(
    tab: Page, version: Version, tmp_path: Path
) -> None:
    store = Store(tmp_path / "models", "dogs")
    wide = StretchPreparation(size=(32, 48))
    publish_classifier(store, version, labels=MANY, preparation=wide)
    store.activate(1)
    settings: dict[str, object] = {"model": "dogs", "feedback": tmp_path / "feedback"}
    (tmp_path / "feedback").mkdir()
    with (
        Service.started(store.folder.parent, **settings) as service,
        guarded(tab, service.url) as (page, _),
    ):
        photo = encoded(np.full((64, 96, 3), 90, np.uint8))
        upload = {"name": "dog.png", "mimeType": "image/png", "buffer": photo}
        page.get_by_label("Upload").set_input_files(upload)  # type: ignore[arg-type]
        page.get_by_label("The right label").get_by_role("combobox").select_option(MANY[140])
        page.get_by_role("button", name="Send").click()
        expect(corrected(page)).to_contain_text(f"Kept as {MANY[140]}")
        assert kept(tmp_path / "feedback", MANY[140])


def test_an_admin_accepts_what_nobody_reviewed(page: Page, feedback: Path) -> None:
    correct(page, 7, "1")
    correct(page, 4, "9")
    (feedback / "accepted").mkdir(exist_ok=True)
    (feedback / "waiting/1").rename(feedback / "accepted/1")
    review(page)
    page.locator('#states [data-state="accepted"]').click()
    image = page.locator("#corrected-images li")
    expect(image).to_contain_text("not reviewed")
    image.get_by_role("button", name="Accept").click()
    expect(image).to_have_count(0)
    assert [*feedback.glob("decided/1/*")]


def test_an_admin_reviews_corrections_with_keys(page: Page, feedback: Path) -> None:
    for digit, label in ((7, "1"), (4, "9"), (3, "5")):
        correct(page, digit, label)
    images = review(page)
    expect(images).to_have_count(3)
    expect_accessible(page, "corrections")
    images.first.focus()
    page.keyboard.press("a")
    expect(images).to_have_count(2)
    assert [path.parent.parent.name for path in kept(feedback, "1")] == ["accepted"]
    expect(images.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(images.last).to_be_focused()
    page.keyboard.press("r")
    expect(images).to_have_count(1)
    expect(images.first).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.get_by_text("No waiting corrections")).to_be_visible()
    assert not kept(feedback, "9")


def test_a_list_that_is_read_again_keeps_the_focus(page: Page, feedback: Path) -> None:
    """As it is after an outage, or a moment after the token was typed."""
    images = two_waiting(page)
    images.last.focus()
    before = images.last.element_handle()
    read_again(page)
    before.wait_for_element_state("hidden")  # the list has other elements now
    expect(images.last).to_be_focused()


def test_a_list_requested_before_a_decision_does_not_bring_the_image_back(
    page: Page, feedback: Path
) -> None:
    images = two_waiting(page)
    held = answers_held(page, LIST)
    read_again(page)
    eventually(page, lambda: len(held), lambda: 1)
    images.first.focus()
    page.keyboard.press("a")
    expect(images).to_have_count(1)
    ((route, outdated),) = held
    with page.expect_request(LIST):
        route.fulfill(response=outdated)
    expect(page.get_by_role("button", name="waiting (1)")).to_be_visible()
    expect(images).to_have_count(1)


def test_an_image_leaves_the_list_even_if_it_is_read_during_the_decision(page: Page) -> None:
    images = two_waiting(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/accept?*", hold)
    images.first.focus()
    before = images.first.element_handle()
    page.keyboard.press("a")
    eventually(page, lambda: len(held), lambda: 1)
    read_again(page)
    before.wait_for_element_state("hidden")  # the list has other elements now
    held[0].continue_()
    expect(images).to_have_count(1)
    expect(images.first).to_be_focused()


def test_the_focus_moves_on_if_the_list_is_read_before_the_answer_to_a_decision(
    page: Page,
) -> None:
    images = two_waiting(page)
    held = answers_held(page, "**/accept?*")
    images.first.focus()
    page.keyboard.press("a")
    eventually(page, lambda: len(held), lambda: 1)
    read_again(page)
    expect(images).to_have_count(1)
    expect(images.first).to_be_focused()
    ((route, answer),) = held
    with page.expect_request(LIST):
        route.fulfill(response=answer)
    expect(images.first).to_be_focused()


def test_a_disputed_image_is_decided_by_choosing_a_label(page: Page, feedback: Path) -> None:
    correct(page, 2, "6")
    page.keyboard.press("8")
    expect(corrected(page)).to_contain_text("Kept as 8")
    images = review(page)
    expect(images).to_contain_text(["6 or 8, disputed"])
    images.get_by_role("button", name="Accept 8").click()
    expect(page.get_by_role("button", name="accepted (1)")).to_be_visible()
    assert [path.parent.parent.name for path in kept(feedback, "8")] == ["accepted"]
