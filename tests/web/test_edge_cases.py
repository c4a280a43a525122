"""Edge cases between page and service, and between user and page."""

import json
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.support.pictures import SEVEN
from tests.web.eventually import eventually
from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer, ink, pad
from tests.web.shapes import DIGITS, lines

PREDICT = "**/v1/predict*"
LIST = "**/v1/models/digits"
A_WHILE = 1500  # milliseconds, enough for hundreds of retries without a delay


def test_enter_after_the_token_switches_nothing(page: Page) -> None:
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.method))
    page.locator('nav a[href="#models"]').click()
    page.get_by_label("Admin token").fill("a-token-of-sixteen-letters-or-more")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Roll back").focus()
    assert "POST" not in posted


def test_a_request_that_always_fails_is_retried_with_delays(page: Page, guard: Guard) -> None:
    guard.allow("net::ERR_CONNECTION_RESET")
    sent: list[Route] = []

    def fail(route: Route) -> None:
        sent.append(route)
        route.abort("connectionreset")

    page.route(PREDICT, fail)
    draw(page, DIGITS[7])
    before = len(sent)
    page.wait_for_timeout(A_WHILE)
    assert 1 <= len(sent) - before < 6
    page.unroute(PREDICT, fail)
    expect_answer(page, "7")


def test_a_truncated_answer_is_requested_again(page: Page) -> None:
    page.route(PREDICT, lambda route: route.fulfill(body='{"model": {"na'), times=1)
    draw(page, DIGITS[7])
    expect_answer(page, "7")


def test_bars_are_filled_even_if_the_list_of_classes_is_late(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(LIST, hold)
    page.reload()
    eventually(page, lambda: len(held), lambda: 1)
    draw(page, DIGITS[7])
    expect_answer(page, "7")
    held[-1].continue_()
    expect(page.locator('#bars li[data-label="7"]')).to_have_class("best")
    share = page.locator('#bars li[data-label="7"]').get_attribute("data-probability")
    assert share is not None
    assert float(share) > 0.5


def test_a_file_that_changes_on_disk_is_predicted_as_uploaded(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(SEVEN)
    page.get_by_label("Upload").set_input_files(path)
    expect_answer(page, "7")
    path.write_bytes(b"something else")
    with page.expect_response(PREDICT) as again:
        page.keyboard.press("Enter")
    assert again.value.ok
    expect_answer(page, "7")


def test_the_mouse_takes_over_from_the_pen_of_the_keyboard(page: Page) -> None:
    pad(page).focus()
    page.keyboard.press("Space")
    draw(page, [lines((0.5, 0.2), (0.5, 0.8))])
    expect_answer(page, "1")
    assert ink(page) > 1000


def test_an_eraser_on_an_empty_drawing_sends_nothing(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.keyboard.press("e")
    draw(page, DIGITS[7])
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    assert not [url for url in sent if "predict" in url]
    expect(answer(page)).to_be_empty()


def test_a_partly_typed_key_survives_other_updates(page: Page, guard: Guard) -> None:
    guard.allow("status of 401", "status of 404")
    problem = {"title": "Unauthorized", "status": 401, "detail": "send an API key"}
    body = json.dumps(problem)
    page.route(PREDICT, lambda route: route.fulfill(status=401, body=body))
    draw(page, DIGITS[7])
    page.get_by_label("API key").fill("half-")
    page.route("**/v1/samples/random", lambda route: route.fulfill(status=404, body=body))
    page.get_by_role("button", name="Random test digit").click()
    expect(page.get_by_label("API key")).to_have_value("half-")
