"""So many a second, and no more: of lines, of traces, of whatever clients can cause at any rate."""

from math import inf


class RateLimiter:
    """At little traffic it lets everything pass; of a flood, one every `1 / a_second` s."""

    def __init__(self, a_second: float) -> None:
        self._each = 1 / a_second
        self._spent_until = -inf  # seconds, on the caller's clock
        self._left_out = 0

    def try_acquire(self, now: float) -> int | None:
        """How many were left out since the last one that passed; None if this one is, too."""
        if self._spent_until > now + 1 - self._each / 2:  # half: seconds do not add up exactly
            self._left_out += 1
            return None
        self._spent_until = max(self._spent_until, now) + self._each
        left_out, self._left_out = self._left_out, 0
        return left_out
