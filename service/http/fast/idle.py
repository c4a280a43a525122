"""Idle connections make room for new ones.

A connection may be idle for DIGITSERVE_KEEP_ALIVE seconds, and counts among
DIGITSERVE_MAX_CONNECTIONS meanwhile. Where a new one is beyond that, those that have been idle
longest are closed, so that they keep nobody out.
"""

from collections.abc import Iterable
from heapq import nsmallest
from time import perf_counter
from typing import Any, Protocol

CLOSED_AT_ONCE = 64  # connections: to find the longest idle takes a look at all
PAUSE = 0.1  # seconds between two such looks, each half a millisecond with 4,096 connections
IDLE = 5.0  # seconds after which a connection may be closed


class Connection(Protocol):
    def idle_since(self) -> float:
        """When its last answer was complete, on perf_counter; inf: it is not idle."""

    def close_for_certain(self) -> None: ...


class IdleConnections:
    def __init__(self) -> None:
        self._looked = 0.0  # on perf_counter

    def close_some(self, connections: Iterable[Any]) -> int:
        """Close the longest idle of these Connections; returns how many."""
        now = perf_counter()
        if now < self._looked + PAUSE:
            return 0
        self._looked = now
        candidates: list[Connection] = nsmallest(
            CLOSED_AT_ONCE, connections, key=lambda connection: connection.idle_since()
        )
        closed = [each for each in candidates if each.idle_since() < now - IDLE]
        for each in closed:
            each.close_for_certain()
        return len(closed)
