"""The gallery of misclassified digits, and the quiz against the network."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.running import Service
from tests.web.pad import expect_answer

ROUNDS = 10


@pytest.fixture
def gallery(page: Page) -> Page:
    page.locator("nav").get_by_role("link", name="Gallery").click()
    return page


def test_every_misclassified_digit_of_the_version_is_shown(gallery: Page, service: Service) -> None:
    with service.client() as client:
        reported = client.get("/v1/models/digits/versions/2/files/mistakes.json").json()
    assert reported["labels"], "the version makes no mistakes: the tests need some"
    wanted = [
        f"labelled {label} read as {answer}"
        for label, answer in zip(reported["labels"], reported["answers"], strict=True)
    ]
    images = gallery.locator("#mistakes button")
    expect(images).to_have_count(len(wanted))
    for image, name in zip(images.all(), wanted, strict=True):
        expect(image).to_have_accessible_name(name)


def test_a_misclassified_digit_opens_in_draw(gallery: Page) -> None:
    image = gallery.locator("#mistakes button").first
    expect(image).to_have_accessible_name(re.compile("labelled . read as ."))
    reported = re.findall(r"labelled (.)\s+read as (.)", image.inner_text())
    ((label, read),) = reported
    image.click()
    expect(gallery.locator("section#draw")).to_be_visible()
    expect_answer(gallery, read)
    expect(gallery.locator("#truth")).to_have_text(f"labelled {label}, misclassified as {read}")


def one_of(quiz: Locator, way: str, guess: str) -> tuple[bool, bool]:
    """A round of the quiz: whether the guess and the network were right."""
    page = quiz.page
    choice = quiz.get_by_role("group").get_by_role("button", name=guess, exact=True)
    expect(choice).to_be_visible()
    if way == "button":
        choice.click()
    else:
        page.keyboard.press(guess)
    verdict = quiz.get_by_role("status")
    expect(verdict).to_contain_text("Label:")
    reported = verdict.inner_text()
    truth = re.findall(r"Label: (.)", reported)
    network = re.findall(r"Network: (.)", reported)
    assert ("✓" in reported.partition("Network")[0]) == ([guess] == truth)
    return [guess] == truth, network == truth


@pytest.mark.parametrize("way", ["button", "key"])
def test_the_quiz_counts_correct_answers_of_user_and_network(gallery: Page, way: str) -> None:
    quiz = gallery.locator("#quiz")
    quiz.get_by_role("button", name="Start").click()
    rounds = []
    for _ in range(ROUNDS):
        rounds.append(one_of(quiz, way, "7"))
        gallery.keyboard.press("Enter")  # the button to continue has the focus
    you, network = (sum(right) for right in zip(*rounds, strict=True))
    expect(quiz.get_by_role("row", name="You")).to_contain_text(f"{you} of {ROUNDS}")
    expect(quiz.get_by_role("row", name="Network")).to_contain_text(f"{network} of {ROUNDS}")


def test_the_quiz_can_be_repeated(gallery: Page) -> None:
    quiz = gallery.locator("#quiz")
    quiz.get_by_role("button", name="Start").click()
    for _ in range(ROUNDS):
        one_of(quiz, "key", "1")
        gallery.keyboard.press("Enter")
    quiz.get_by_role("button", name="Once more").click()
    one_of(quiz, "key", "1")


def test_the_quiz_does_not_reveal_the_answer_in_advance(gallery: Page) -> None:
    """Neither the label of a digit nor the prediction is on the page before the guess."""
    quiz = gallery.locator("#quiz")
    quiz.get_by_role("button", name="Start").click()
    expect(quiz.get_by_role("img")).to_be_visible()
    expect(quiz).not_to_contain_text("Label")
    expect(quiz).not_to_contain_text("Network:")
