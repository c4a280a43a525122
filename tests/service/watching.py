"""Somebody who watches a running service: the events of GET /v1/live, as they come."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.service.running import Service

Event = dict[str, Any]
Events = Iterator[Event]


@contextmanager
def watching(service: Service, query: str = "", **headers: str) -> Iterator[Events]:
    """Over a connection of its own, which is closed with the block."""
    with (
        service.client() as client,
        client.stream("GET", f"/v1/live{query}", headers=headers) as (response),
    ):
        assert response.status_code == 200, response.read()
        yield events_of(response)


def events_of(response: httpx2.Response) -> Events:
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def until(events: Events, condition: Callable[[Event], object]) -> list[Event]:
    """Those that come until one is as it should be, that one last."""
    seen = []
    for event in events:
        seen.append(event)
        if condition(event):
            return seen
    raise AssertionError(f"the stream ended with {seen[-1:]}")
