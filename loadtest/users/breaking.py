"""When a service breaks: too slow, or too many requests that failed or were refused.

Locust counts from the beginning; what happened in the last 10 seconds is the difference between
what it has counted now and what it had counted then.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

WINDOW = 10.0  # seconds


class Counted(NamedTuple):
    """What has come of all requests up to a moment."""

    at: float  # seconds
    users: int
    times: dict[int, int]  # milliseconds, rounded as locust rounds them -> answers
    requests: int
    bad: int  # of them: failed or refused


class Seen(NamedTuple):
    """What was seen in a window that ends now."""

    users: int
    rate: float  # requests a second
    p99: float  # seconds
    errors: float  # fraction of requests that failed or were refused

    def __str__(self) -> str:
        return (
            f"{self.users} users, {self.rate:,.0f} requests/s, p99 {self.p99 * 1e3:.0f} ms, "
            f"{self.errors:.2%} failed or refused"
        )


@dataclass(frozen=True)
class Limits:
    p99: float  # seconds
    errors: float

    def broken(self, seen: Seen) -> bool:
        return seen.p99 > self.p99 or seen.errors > self.errors


class Watch:
    def __init__(self) -> None:
        self._kept: deque[Counted] = deque()

    def look(self, now: Counted) -> Seen | None:
        """Of the last window; None before there is a whole one."""
        self._kept.append(now)
        while len(self._kept) > 1 and self._kept[1].at <= now.at - WINDOW:
            self._kept.popleft()
        then = self._kept[0]
        if now.at - then.at < WINDOW or now.requests == then.requests:
            return None
        requests = now.requests - then.requests
        return Seen(
            users=now.users,
            rate=requests / (now.at - then.at),
            p99=_p99(now.times, then.times),
            errors=(now.bad - then.bad) / requests,
        )


def _p99(now: dict[int, int], then: dict[int, int]) -> float:
    """Seconds."""
    fresh = {time: number - then.get(time, 0) for time, number in now.items()}
    within = math.ceil(0.99 * sum(fresh.values()))
    for time in sorted(fresh):
        within -= fresh[time]
        if within <= 0:
            return time / 1e3
    return 0.0
