"""So many a second, and as many at once after a while of none."""

from time import monotonic


class Allowance:
    def __init__(self, a_second: int) -> None:
        self._a_second = a_second
        self._left = float(a_second)
        self._looked = monotonic()

    def take(self) -> bool:
        """Whether one more may be had."""
        now = monotonic()
        grown = self._left + (now - self._looked) * self._a_second
        self._left = min(grown, float(self._a_second))
        self._looked = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
