"""Answers of the service that reach the page later, when a test says so."""

from playwright.sync_api import APIResponse, Page, Route


def answers_held(page: Page, url: str) -> list[tuple[Route, APIResponse]]:
    """The next answer of the service, which reaches the page when the test fulfils its route."""
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    page.route(url, hold, times=1)
    return held
