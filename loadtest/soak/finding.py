"""What grew: each quantity, the growth that would matter, and what its trend says.

A quantity grows if the 95 % interval of its slope lies above zero, and the slope above the bound.
The bounds are what somebody has to get up for: at 200 requests a second a leak of three bytes a
request is 2.1 MB an hour, one descriptor or thread a switch is 60 an hour. Below them, what is
found is told, and is no reason to fail: allocators settle for hours, and a machine that others use
gets slower and faster. A short soak sees little else, so as much has to come together in it as the
bound lets come together in a quarter of an hour.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from loadtest.soak.period import Period
from loadtest.soak.trend import FEWEST, Point, Trend, trend

HOUR = 3600.0  # seconds
MB = 2**20  # bytes
MS = 1e-3  # seconds
LEAST = 900.0  # seconds that the bound's growth is reckoned over


@dataclass(frozen=True)
class Quantity:
    name: str
    of: Callable[[Period], float]
    unit: str
    scale: float  # of the unit
    bound: float  # units an hour; endless: told, but no reason to fail

    def points(self, periods: Sequence[Period]) -> list[Point]:
        """In the unit; where it is nothing, nothing was there to measure."""
        return [Point(each.at, value / self.scale) for each in periods if (value := self.of(each))]


QUANTITIES = (
    Quantity("RSS", lambda period: period.resident, "MB", MB, bound=2.0),
    # Grows also when another program ends that shares a library with the service.
    Quantity("PSS", lambda period: period.proportional, "MB", MB, bound=math.inf),
    Quantity("descriptors", lambda period: period.descriptors, "", 1.0, bound=10.0),
    Quantity("threads", lambda period: period.threads, "", 1.0, bound=10.0),
    Quantity("p99", lambda period: period.p99, "ms", MS, bound=20.0),
)


@dataclass(frozen=True)
class Finding:
    quantity: Quantity
    mean: float | None  # after the warm-up, in the unit; None: it ended before that
    trend: Trend | None  # None: FEWEST blocks did not fit

    @property
    def grows(self) -> bool:
        told = self.trend
        if told is None or told.lowest <= 0:
            return False
        return told.slope * told.seconds > self.quantity.bound / HOUR * max(LEAST, told.seconds)

    @property
    def slope(self) -> str:
        """With its interval, in units an hour."""
        if self.trend is None:
            return "not judged"
        told = (x * HOUR for x in (self.trend.slope, self.trend.lowest, self.trend.highest))
        slope, lowest, highest = map(_signed, told)
        unit = f" {self.quantity.unit}/h" if self.quantity.unit else "/h"
        return f"{slope}{unit} ({lowest} to {highest})"

    @property
    def words(self) -> str:
        if self.trend is None:
            return f"not judged: fewer than {FEWEST} blocks"
        if math.isinf(self.quantity.bound):
            return "not judged: it moves with other programs"
        if self.grows:
            return "grows"
        if self.trend.lowest > 0:
            return "grows by less than matters"
        if self.trend.highest < 0:
            return "falls"
        return "indistinguishable from zero"


def findings(
    periods: Sequence[Period], *, after: float, until: float, block: float
) -> list[Finding]:
    judged = [each for each in periods if after < each.at <= until]
    found = []
    for quantity in QUANTITIES:
        points = quantity.points(judged)
        mean = fmean(point.value for point in points) if points else None
        told = trend(points, after=after, until=until, block=block)
        found.append(Finding(quantity, mean, told))
    return found


def _signed(value: float) -> str:
    """Three digits, two of them behind the point at most, and no minus before a zero."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{round(value, digits) + 0.0:+,.{digits}f}"
