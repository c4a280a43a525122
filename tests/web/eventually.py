"""Two things that become equal in time: what a page shows, and what it should."""

from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Page

from tests.web.visit import PATIENCE

POLL = 20  # milliseconds
Seen = TypeVar("Seen")


def eventually(page: Page, seen: Callable[[], Seen], wanted: Callable[[], Seen]) -> None:
    """Fail with both as they are in the end, if they do not become equal."""
    for _ in range(PATIENCE // POLL):
        if seen() == wanted():
            return
        page.wait_for_timeout(POLL)  # in which the browser's events are heard
    assert seen() == wanted(), f"it is {seen()}, not {wanted()}"
