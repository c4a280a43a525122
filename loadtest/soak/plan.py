"""What a soak is to do."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from loadtest.host.machine import Placement

ANSWER = 0.002  # seconds, about: what a user waits for beside thinking


class Think(NamedTuple):
    """Seconds between an answer and the same user's next request: any time in between."""

    shortest: float
    longest: float

    def __str__(self) -> str:
        return f"{self.shortest:g}-{self.longest:g}"

    def users(self, rate: float) -> int:
        """How many ask so often a second together."""
        return max(1, math.ceil(rate * ((self.shortest + self.longest) / 2 + ANSWER)))


@dataclass(frozen=True)
class Plan:
    seconds: float
    rate: float  # requests a second that are aimed at
    think: Think
    switch_every: float  # seconds
    versions: int  # that are switched between
    look_every: float  # seconds
    warm_up: float  # seconds that are not judged
    model: str
    cores: Placement

    @property
    def users(self) -> int:
        return self.think.users(self.rate)

    @property
    def block(self) -> float:
        """Seconds of a block: as long as two switches, so that one is like the other."""
        return 2 * self.switch_every
