"""Wait until two values become equal: what a page shows, and what it should show."""

from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Page

from tests.web.visit import PATIENCE

POLL = 20  # milliseconds
Seen = TypeVar("Seen")


def eventually(page: Page, seen: Callable[[], Seen], wanted: Callable[[], Seen]) -> None:
    """Fail with both final values if they do not become equal."""
    for _ in range(PATIENCE // POLL):
        if seen() == wanted():
            return
        page.wait_for_timeout(POLL)  # which also processes events of the browser
    assert seen() == wanted(), f"it is {seen()}, not {wanted()}"
