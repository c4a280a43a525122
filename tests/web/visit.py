"""A visit to the page with a guard, from its first request on."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.web.guard import Guard

PATIENCE = 20_000  # milliseconds; everything here takes far less, but machines may be busy

FORGET = "() => { localStorage.clear(); sessionStorage.clear(); }"

expect.set_options(timeout=PATIENCE)


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[tuple[Page, Guard]]:
    """A page at `url` and its guard, which is checked at the end. `options` are for the context."""
    with (
        closing(browser.new_context(**options)) as context,
        guarded(context.new_page(), url) as visit,
    ):
        yield visit


@contextmanager
def guarded(page: Page, url: str) -> Iterator[tuple[Page, Guard]]:
    """The same in an existing page, which is left unchanged except for its history."""
    page.set_default_timeout(PATIENCE)
    guard = Guard(page, url)
    page.goto(url)
    try:
        yield page, guard
    except Exception as error:
        error.add_note(f"behind the page: {guard.reported or 'nothing'}")
        raise
    else:
        guard.check()
    finally:
        guard.leave()
        page.evaluate(FORGET)
        page.unroute_all(behavior="ignoreErrors")
        page.goto("about:blank")
