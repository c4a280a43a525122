"""Detects what must not happen on a web page: console errors, failed and foreign requests.

A guard watches one page until it is left. Events that a test causes on purpose, such as requests
that fail because the service is stopped, are allowed by a pattern; any other fails the test.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Error, Page, Request, WebSocket

OWN_SCHEMES = {"data", "blob"}  # these never leave the page
GIVEN_UP = "net::ERR_ABORTED"  # aborted when leaving or replaced by the page


class Guard:
    def __init__(self, page: Page, url: str) -> None:
        """`url` is the only allowed origin."""
        self._origin = _origin(url)
        self._allowed: list[str] = []
        self._seen: list[str] = []
        self._listeners: dict[Any, Any] = {
            "console": self._hear,
            "pageerror": self._catch,
            "request": self._follow,
            "requestfailed": self._miss,
            "websocket": self._connect,
        }
        self._page = page
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def allow(self, *patterns: str) -> None:
        """Ignore events that match one of these patterns, before or after this call."""
        self._allowed += patterns

    @property
    def reported(self) -> str:
        """The events that were not allowed, one per line."""
        return "\n".join(
            line
            for line in self._seen
            if not any(re.search(pattern, line) for pattern in self._allowed)
        )

    def check(self) -> None:
        assert not self.reported, f"behind the page:\n{self.reported}"

    def leave(self) -> None:
        for event, listener in self._listeners.items():
            self._page.remove_listener(event, listener)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self._seen.append(f"console {message.type}: {message.text} {message.location['url']}")

    def _catch(self, error: Error) -> None:
        self._seen.append(f"uncaught: {error}")

    def _follow(self, request: Request) -> None:
        self._look_at(request.url)

    def _connect(self, socket: WebSocket) -> None:
        self._look_at(socket.url)

    def _look_at(self, url: str) -> None:
        if urlsplit(url).scheme not in OWN_SCHEMES and _origin(url) != self._origin:
            self._seen.append(f"foreign: {url}")

    def _miss(self, request: Request) -> None:
        if request.failure != GIVEN_UP:
            self._seen.append(f"failed: {request.method} {request.url} {request.failure}")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
