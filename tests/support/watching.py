"""Events of GET /v1/live from a running service."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.running import Service

Event = dict[str, Any]
Events = Iterator[Event]


@contextmanager
def watching(service: Service, query: str = "", **headers: str) -> Iterator[Events]:
    """Over a separate connection, which is closed with the block."""
    url = f"/v1/live{query}"
    with service.client(headers=headers) as client, client.stream("GET", url) as response:
        assert response.status_code == 200, response.read()
        yield events_of(response.iter_lines())


def events_of(lines: Iterable[str]) -> Events:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def until(events: Events, condition: Callable[[Event], object]) -> list[Event]:
    """The events up to the first that meets the condition, which comes last."""
    seen = []
    for event in events:
        seen.append(event)
        if condition(event):
            return seen
    raise AssertionError(f"the stream ended with {seen[-1:]}")
