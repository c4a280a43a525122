"""What guards every test of the page: it sees what it is there for, and nothing else."""

import re
import time

import pytest
from playwright.sync_api import Page

from tests.support.running import Service
from tests.web.guard import Guard
from tests.web.visit import PATIENCE, guarded

# What a page does, and what is said of it.
MISDEEDS = {
    "console.error('gone wrong')": "console error: gone wrong",
    "console.warn('soon gone wrong')": "console warning: soon gone wrong",
    "setTimeout(() => { throw new Error('nobody caught this') })": "uncaught: .*nobody caught this",
    "Promise.reject(new Error('nobody waited'))": "uncaught: .*nobody waited",
    "fetch('/no/such/thing').then(() => {})": "console error: .* 404 .*/no/such/thing",
    "fetch('http://127.0.0.1:9/', {mode: 'no-cors'}).catch(() => {})": "foreign: .*127.0.0.1:9/",
}
# Asks for nothing from elsewhere, gives up what it asked itself, makes pictures for itself.
DEEDS = (
    "await fetch('/livez')",
    "const stop = new AbortController();"
    "const asked = fetch('/metrics', {signal: stop.signal});"
    "stop.abort(); await asked.catch(() => {})",
    "await fetch(URL.createObjectURL(new Blob(['x']))); await fetch('data:,x')",
)


def do(page: Page, guard: Guard, deed: str) -> str:
    """What the guard says of it, on a page of the service that brings no icon."""
    guard.allow("/favicon.ico")
    page.evaluate(f"async () => {{ {deed} }}")
    deadline = time.monotonic() + PATIENCE / 1000
    while not guard.reported and time.monotonic() < deadline:
        page.wait_for_timeout(10)  # in which the browser's events are heard
    return guard.reported


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_misdeed_of_the_page_fails_the_test_unless_it_was_to_be(
    misdeed: str, tab: Page, service: Service
) -> None:
    with guarded(tab, f"{service.url}/livez") as (page, guard):
        assert re.search(MISDEEDS[misdeed], do(page, guard, misdeed))
        with pytest.raises(AssertionError, match=MISDEEDS[misdeed]):
            guard.check()
        guard.allow(MISDEEDS[misdeed], "net::ERR_|Content Security Policy")


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_page_may_do_fails_no_test(deed: str, tab: Page, service: Service) -> None:
    with guarded(tab, f"{service.url}/livez") as (page, guard):
        # what came before this, the guard has heard of by then
        reported = do(page, guard, f"{deed}; console.error('over')")
        guard.allow("console error: over")
    assert re.fullmatch("console error: over.*", reported)
