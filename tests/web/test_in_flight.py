"""The page sends one prediction at a time, and then one for the newest image."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, Request, Route, expect

from tests.web.eventually import eventually
from tests.web.guard import Guard
from tests.web.pad import answer, draw, expect_answer
from tests.web.shapes import DIGITS, lines

PREDICT = "**/v1/predict*"


class Held:
    """Requests for a prediction that are intercepted and not forwarded yet."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.routes: list[Route] = []

    def hold(self, route: Route) -> None:
        self.routes.append(route)

    def wait(self, count: int) -> None:
        """Wait until there are so many in total."""
        eventually(self._page, lambda: len(self.routes), lambda: count)

    def let_go(self) -> None:
        """Forward the last one to the service, which answers it."""
        self.routes[-1].continue_()


@contextmanager
def holding(page: Page) -> Iterator[Held]:
    held = Held(page)
    page.route(PREDICT, held.hold)
    yield held
    page.unroute(PREDICT, held.hold)


def test_at_most_one_request_is_in_flight_and_the_newest_image_wins(page: Page) -> None:
    with holding(page) as held:
        draw(page, DIGITS[1])
        held.wait(1)
        for digit in (3, 5, 7):
            page.get_by_role("button", name="Clear").click()
            draw(page, DIGITS[digit])
        page.keyboard.press("Enter")
        assert len(held.routes) == 1
        expect(answer(page)).to_be_empty()
        held.let_go()
        held.wait(2)
        held.let_go()
        expect_answer(page, "7")
        assert len(held.routes) == 2


def test_a_late_answer_is_not_shown_for_a_cleared_drawing(page: Page) -> None:
    with holding(page) as held:
        draw(page, DIGITS[1])
        held.wait(1)
        page.get_by_role("button", name="Clear").click()
        with page.expect_response(PREDICT) as late:
            held.let_go()
        late.value.finished()
        expect(page.locator("#sure")).to_have_text("Nothing drawn yet")
        expect(answer(page)).to_be_empty()
    draw(page, DIGITS[7])
    expect_answer(page, "7")


def test_after_one_failed_request_the_next_one_is_sent(page: Page, guard: Guard) -> None:
    guard.allow("net::ERR_CONNECTION_RESET")
    with holding(page) as held:
        draw(page, DIGITS[7])
        held.wait(1)
        held.routes[0].abort("connectionreset")
    expect_answer(page, "7")


def test_drawing_sends_many_requests_one_at_a_time(page: Page) -> None:
    under_way: list[int] = [0]  # the number after each start and end

    def count(request: Request, change: int) -> None:
        if "/v1/predict" in request.url:
            under_way.append(under_way[-1] + change)

    page.on("request", lambda request: count(request, 1))
    page.on("requestfinished", lambda request: count(request, -1))
    draw(page, DIGITS[2] + DIGITS[3])
    page.keyboard.press("c")
    draw(page, DIGITS[3])
    expect_answer(page, "3")
    assert len(under_way) > 8
    assert set(under_way) == {0, 1}


def test_an_image_without_an_answer_yet_is_reported_as_being_read(page: Page) -> None:
    state = page.locator("#sure")
    expect(state).to_have_text("Nothing drawn yet")
    with holding(page) as held:
        draw(page, DIGITS[7])
        expect(state).to_have_text("Reading…")
        held.let_go()
    expect_answer(page, "7")
    expect(state).to_contain_text("sure")


def test_an_answer_is_marked_as_old_while_the_next_one_is_late(page: Page) -> None:
    draw(page, DIGITS[1])
    expect_answer(page, "1")
    old = page.locator("#old")
    with holding(page) as held:
        draw(page, [lines((0.2, 0.9), (0.8, 0.9))])
        expect(old).to_contain_text("an earlier image. Reading…")
        expect_answer(page, "1")
        held.let_go()
        expect(old).to_be_hidden()
