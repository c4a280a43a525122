"""The texts of GET /metrics, shared by all scrapes that arrive within a tenth of a second.

A text takes a millisecond, in which the event loop answers nobody: a client that sends a thousand
scrapes at once must not hold up the others for a second.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from service.v2.compression import Coding, compressed

SHARED = 0.1  # seconds


class _Rendering(NamedTuple):
    until: float  # time.monotonic()
    forms: dict[Coding | None, bytes]  # None: as it is


class Renderings:
    def __init__(self, render: Callable[[bool], bytes]) -> None:
        """`render` is called with whether it is to be OpenMetrics."""
        self._render = render
        self._latest: dict[bool, _Rendering] = {}

    def of(self, *, openmetrics: bool, coding: Coding | None) -> bytes:
        """The numbers of now, or of at most SHARED seconds ago."""
        now = time.monotonic()
        latest = self._latest.get(openmetrics)
        if latest is None or latest.until <= now:
            latest = _Rendering(now + SHARED, {None: self._render(openmetrics)})
            self._latest[openmetrics] = latest
        if coding is not None and coding not in latest.forms:
            latest.forms[coding] = compressed(latest.forms[None], coding)
        return latest.forms[coding]
