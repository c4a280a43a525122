r"""How many users there are at each moment of a test, for each shape but the constant one.

    steps   __--==     spike  ____--____     soak  /--------\     ramp  ./'  until it breaks

A course begins at 0 and is over after `length` seconds; `top` is the most users it has.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

CALM = 0.4  # of a spike's length, before it and again after it
QUIET = 0.1  # of a spike's top
RISE = 0.05  # of a soak's length; its fall takes as long
FASTEST = 100.0  # users a second: above, locust warns


@dataclass(frozen=True)
class Course(ABC):
    top: int
    length: float  # seconds
    steps: int = 1

    def users(self, seconds: float) -> int | None:
        """None when it is over."""
        if seconds >= self.length:
            return None
        return max(1, self._users(seconds / self.length))

    @property
    def rate(self) -> float:
        """Users a second that come or go where the number changes."""
        return min(FASTEST, float(max(1, self._change())))

    @abstractmethod
    def _users(self, part: float) -> int:
        """After that part of the length, from 0 to 1."""

    def _change(self) -> int:
        """The most by which the number changes from one second to the next."""
        return self.top


class Steps(Course):
    """As many equal steps up, each as long as the others."""

    def _users(self, part: float) -> int:
        return round(self.top * (int(part * self.steps) + 1) / self.steps)


class Spike(Course):
    """A tenth of the users, suddenly all of them, and a tenth again: how does it recover?"""

    def _users(self, part: float) -> int:
        return self.top if CALM <= part < 1 - CALM else round(self.top * QUIET)


class Soak(Course):
    """Up, a long time all of them, and down: what is left afterwards?"""

    def _users(self, part: float) -> int:
        return round(self.top * min(1.0, part / RISE, (1 - part) / RISE))

    def _change(self) -> int:
        return math.ceil(self.top / (self.length * RISE))


class Ramp(Course):
    """One more and one more; `breaking` ends it early."""

    def _users(self, part: float) -> int:
        return round(self.top * part)

    def _change(self) -> int:
        return math.ceil(self.top / self.length)


COURSES: dict[str, Callable[[int, float, int], Course]] = {
    "steps": Steps,
    "spike": Spike,
    "soak": Soak,
    "ramp": Ramp,
}
