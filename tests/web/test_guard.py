"""The guard of the page tests detects errors, and nothing else."""

import re
import time

import pytest
from playwright.sync_api import Page

from tests.support.running import Service
from tests.web.guard import Guard
from tests.web.visit import PATIENCE, guarded

# Scripts with an error, and the message expected from the guard.
ERRORS = {
    "console.error('gone wrong')": "console error: gone wrong",
    "console.warn('soon gone wrong')": "console warning: soon gone wrong",
    "setTimeout(() => { throw new Error('nobody caught this') })": "uncaught: .*nobody caught this",
    "Promise.reject(new Error('nobody waited'))": "uncaught: .*nobody waited",
    "fetch('/no/such/thing').then(() => {})": "console error: .* 404 .*/no/such/thing",
    "fetch('http://127.0.0.1:9/', {mode: 'no-cors'}).catch(() => {})": "foreign: .*127.0.0.1:9/",
}
# Requests to the own origin, aborts of own requests, and URLs of local data.
ALLOWED = (
    "await fetch('/livez')",
    "const stop = new AbortController();"
    "const asked = fetch('/metrics', {signal: stop.signal});"
    "stop.abort(); await asked.catch(() => {})",
    "await fetch(URL.createObjectURL(new Blob(['x']))); await fetch('data:,x')",
)


def run_script(page: Page, guard: Guard, script: str) -> str:
    """The message of the guard about a script, on a page of the service without an icon."""
    guard.allow("/favicon.ico")
    page.evaluate(f"async () => {{ {script} }}")
    deadline = time.monotonic() + PATIENCE / 1000
    while not guard.reported and time.monotonic() < deadline:
        page.wait_for_timeout(10)  # which also processes events of the browser
    return guard.reported


@pytest.mark.parametrize("script", ERRORS)
def test_an_error_of_the_page_fails_the_test_unless_allowed(
    script: str, tab: Page, service: Service
) -> None:
    with guarded(tab, f"{service.url}/livez") as (page, guard):
        assert re.search(ERRORS[script], run_script(page, guard, script))
        with pytest.raises(AssertionError, match=ERRORS[script]):
            guard.check()
        guard.allow(ERRORS[script], "net::ERR_|Content Security Policy")


@pytest.mark.parametrize("script", ALLOWED)
def test_allowed_actions_of_a_page_fail_no_test(script: str, tab: Page, service: Service) -> None:
    with guarded(tab, f"{service.url}/livez") as (page, guard):
        # by then, earlier events have reached the guard
        reported = run_script(page, guard, f"{script}; console.error('over')")
        guard.allow("console error: over")
    assert re.fullmatch("console error: over.*", reported)
