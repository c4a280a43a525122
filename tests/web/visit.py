"""A visit to the page in a browser's context of its own, guarded from the first request on."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.web.guard import Guard

PATIENCE = 20_000  # milliseconds; everything here takes far less, but machines may be busy

expect.set_options(timeout=PATIENCE)


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[tuple[Page, Guard]]:
    """A page on `url` and what guards it, which has the last word. `options` are the context's."""
    with closing(browser.new_context(**options)) as context:
        context.set_default_timeout(PATIENCE)
        guard = Guard(context, url)
        page = context.new_page()
        page.goto(url)
        try:
            yield page, guard
        except Exception as error:
            error.add_note(f"behind the page: {guard.told or 'nothing'}")
            raise
        guard.check()
