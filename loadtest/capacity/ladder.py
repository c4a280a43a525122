"""The rates that may be tried: each rung is a little higher than the one below.

The little is the resolution. Repetitions meet on the same rungs, so what they saw can be told
together, rate by rate.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Ladder:
    first: float  # requests a second: rung 0, where a search begins
    resolution: float  # fraction by which a rung is higher
    least: float  # requests a second: no rung is lower, but rung 0 may be
    most: float  # requests a second: the highest rung, which may be nearer to the one below

    def rate(self, rung: int) -> float:
        rate = self.first * (1 + self.resolution) ** rung
        return min(self.most, round(rate, 0 if rate >= 100 else 1))

    @property
    def top(self) -> int:
        return max(0, math.ceil(self._rungs(self.most / self.first)))

    @property
    def bottom(self) -> int:
        return min(0, -math.floor(self._rungs(self.first / self.least)))

    def rungs(self, factor: float) -> int:
        """How many rungs up make the rate so much higher; at least one."""
        return max(1, round(self._rungs(factor)))

    def _rungs(self, factor: float) -> float:
        # Rounded, so that a factor that is a whole number of rungs is one.
        return round(math.log(factor) / math.log(1 + self.resolution), 9)
