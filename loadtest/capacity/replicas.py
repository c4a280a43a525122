"""How many replicas carry a rate, from what one carries for sure.

    usable = capacity's lower end x (1 - headroom)
    replicas = as many as the rate needs of those + the spare ones

Headroom is for what a steady Poisson load has not: bursts, other pictures, a slower neighbour. The
spare is for the replica that is being replaced, or has died.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

HEADROOM = 0.3  # fraction of the capacity that is left unused
SPARE = 1  # replicas


@dataclass(frozen=True)
class Margin:
    headroom: float = HEADROOM
    spare: int = SPARE


@dataclass(frozen=True)
class Replicas:
    rate: float  # requests a second, the target
    needed: int  # without the spare ones
    spare: int
    cores: int | None  # of all together; None: those of one are not known
    used: float  # fraction of the capacity of all
    used_without_one: float | None  # the same when one is lost; None: nothing is left then

    @property
    def count(self) -> int:
        return self.needed + self.spare

    @property
    def summary(self) -> str:
        """What somebody who plans should know of it."""
        if self.used_without_one is None:
            return "one carries it; when it is lost, nothing does"
        if self.used_without_one > 1:
            return f"when one is lost, the others lack {1 - 1 / self.used_without_one:.0%}"
        rest = f"when one is lost, {1 - self.used_without_one:.0%} is left"
        return f"one carries it; {rest}" if self.needed == 1 else rest


def replicas(
    rates: Sequence[float], capacity: float, margin: Margin, *, cores: int | None
) -> list[Replicas]:
    """A row for each target; none where nothing is carried. `cores`: of one replica."""
    return [_replicas(rate, capacity, margin, cores) for rate in rates if capacity > 0]


def _replicas(rate: float, capacity: float, margin: Margin, cores: int | None) -> Replicas:
    usable = capacity * (1 - margin.headroom)
    # Rounded first: 3 * 0.7 must not need a fourth for the last bit.
    needed = max(1, math.ceil(round(rate / usable, 9)))
    count = needed + margin.spare
    return Replicas(
        rate=rate,
        needed=needed,
        spare=margin.spare,
        cores=None if cores is None else count * cores,
        used=rate / (count * capacity),
        used_without_one=rate / ((count - 1) * capacity) if count > 1 else None,
    )
