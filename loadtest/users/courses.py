r"""How many users there are at each moment of a test, for each shape but the constant one.

    steps   __--==     spike  ____--____     soak  /--------\     ramp  ./'  until it breaks

A course begins at 0 and is over after `length` seconds; `top` is its maximum number of users.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

CALM = 0.4  # of a spike's length, before it and again after it
QUIET = 0.1  # of a spike's top
RISE = 0.05  # of a soak's length; its fall takes as long
FASTEST = 100.0  # users a second: above, locust warns


@dataclass(frozen=True)
class Course:
    shape: str
    top: int
    length: float  # seconds
    steps: int = 1

    def users(self, seconds: float) -> int | None:
        """The number of users at that time; None after the end."""
        if seconds >= self.length:
            return None
        share = SHARES[self.shape](seconds / self.length, self.steps)
        return max(1, round(self.top * share))

    @property
    def rate(self) -> float:
        """Users a second that are started or stopped where the number changes."""
        rising = {"soak": RISE * self.length, "ramp": self.length}.get(self.shape, 1.0)
        return min(FASTEST, float(max(1, math.ceil(self.top / rising))))


# The share of the top after a part of the length, both from 0 to 1, with that many steps.
SHARES: dict[str, Callable[[float, int], float]] = {
    # As many equal steps up, each as long as the others.
    "steps": lambda part, steps: (int(part * steps) + 1) / steps,
    # A tenth of the users, suddenly all of them, and a tenth again: how does it recover?
    "spike": lambda part, _: 1.0 if CALM <= part < 1 - CALM else QUIET,
    # Up, a long time all of them, and down: what is left afterwards?
    "soak": lambda part, _: min(1.0, part / RISE, (1 - part) / RISE),
    # One more and one more, until the service breaks.
    "ramp": lambda part, _: part,
}
