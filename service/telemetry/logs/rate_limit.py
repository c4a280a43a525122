"""A rate limit for what clients can cause at any rate, such as log lines and traces."""

from math import inf


class RateLimiter:
    """Permits everything at low rates and, in a flood, one acquisition every `1 / a_second` s."""

    def __init__(self, a_second: float) -> None:
        self._each = 1 / a_second
        self._used_until = -inf  # seconds, on the caller's clock
        self._refused = 0

    def try_acquire(self, now: float) -> int | None:
        """The number refused since the last permitted one; None if this one is refused."""
        if self.refuses(1, now):
            return None
        self._used_until = max(self._used_until, now) + self._each
        refused, self._refused = self._refused, 0
        return refused

    def refuses(self, count: int, now: float) -> bool:
        """Whether `count` acquisitions at `now` are all refused; if so, they are counted."""
        if self._used_until > now + 1 - self._each / 2:  # half: seconds do not add up exactly
            self._refused += count
            return True
        return False
