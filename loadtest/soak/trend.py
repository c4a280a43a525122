"""How fast a quantity grows, and how sure that is.

    points --after the warm-up--> means of blocks --a line through them--> slope, its 95 % interval

Looks that follow each other are much the same: what is high now is high two seconds later.
A line through all of them would be far too sure of itself. Means of blocks that are long beside
that memory are nearly independent; what dependence is left between neighbouring blocks is measured
on what the line leaves over, and counts as fewer blocks: n (1 - r) / (1 + r) of them, with r their
correlation (Santer et al. 2000, doi.org/10.1029/1999JD901105).

How often the interval then lies above zero where nothing grows, which should be one in forty: of
720 looks every 2 s in 12 blocks, 4,000 series of noise that forgets within so many seconds (AR(1)):

    forgets within        0 s     20 s    60 s   120 s   300 s
    these intervals       2 %      3 %     4 %     6 %     9 %
    blocks alone          3 %      3 %     6 %    11 %    20 %
    no blocks             3 %     31 %    40 %    43 %    45 %

A quantity grows if the 95 % interval of its slope lies above zero, and the slope above the bound.
The bounds are what somebody has to get up for: at 200 requests a second a leak of three bytes a
request is 2.1 MB an hour, one descriptor or thread a switch is 60 an hour. Below them, what is
found is reported, and is no reason to fail: allocators settle for hours, and a machine that others
use gets slower and faster. A short soak sees little else, so as much has to come together in it
as the bound lets come together in a quarter of an hour.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev
from typing import NamedTuple

from scipy.stats import linregress
from scipy.stats import t as students_t

from loadtest.target.monitor import Period

SURE = 0.95
FEWEST = 6  # blocks that a slope is judged by
HOUR = 3600.0  # seconds
MB = 2**20  # bytes
MS = 1e-3  # seconds
LEAST = 900.0  # seconds that the bound's growth is reckoned over


class Point(NamedTuple):
    at: float  # seconds
    value: float


@dataclass(frozen=True)
class Trend:
    blocks: list[Point]  # the middle of each, and its mean
    slope: float  # a second
    margin: float  # to both sides of the slope, with which it is 95 % sure

    @property
    def seconds(self) -> float:
        """From the first block's middle to the last one's."""
        return self.blocks[-1].at - self.blocks[0].at

    @property
    def lowest(self) -> float:
        return self.slope - self.margin

    @property
    def highest(self) -> float:
        return self.slope + self.margin

    def line(self, at: float) -> tuple[float, float]:
        """The line at a time, and how far to both sides it may be off there."""
        times = [point.at for point in self.blocks]
        away = at - fmean(times)
        value = fmean(point.value for point in self.blocks) + self.slope * away
        return value, self.margin * math.hypot(pstdev(times), away)


def trend(points: Sequence[Point], *, after: float, until: float, block: float) -> Trend | None:
    """Of what was seen in that time, in blocks of so many seconds; None if they are too few."""
    found = blocks(points, after=after, until=until, block=block)
    if len(found) < FEWEST:
        return None
    times, means = zip(*found, strict=True)
    if len(set(means)) == 1:
        return Trend(found, 0.0, 0.0)
    fitted = linregress(times, means)
    left = [mean - fitted.intercept - fitted.slope * at for at, mean in found]
    wide = fitted.stderr * _widened(left)
    return Trend(found, float(fitted.slope), float(wide))


def blocks(points: Sequence[Point], *, after: float, until: float, block: float) -> list[Point]:
    """Whole blocks, one after the other; one that nothing was seen in is left out."""
    found = []
    for number in range(int((until - after) / block + 1e-9)):
        begin = after + number * block
        inside = [point.value for point in points if begin < point.at <= begin + block]
        if inside:
            found.append(Point(begin + block / 2, fmean(inside)))
    return found


def _widened(left: list[float]) -> float:
    """Standard errors to both sides, for what is left over of the blocks."""
    squares = math.fsum(each**2 for each in left)
    together = math.fsum(a * b for a, b in pairwise(left))
    correlation = max(0.0, together / squares) if squares else 0.0
    number = len(left)
    counting = max(3.0, number * (1 - correlation) / (1 + correlation))
    inflated = math.sqrt((number - 2) / (counting - 2))
    return inflated * float(students_t.ppf((1 + SURE) / 2, counting - 2))


@dataclass(frozen=True)
class Quantity:
    name: str
    of: Callable[[Period], float]
    unit: str
    scale: float  # of the unit
    bound: float  # units an hour; endless: reported, but no reason to fail

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
        fitted = self.trend
        if fitted is None or fitted.lowest <= 0:
            return False
        allowed = self.quantity.bound / HOUR * max(LEAST, fitted.seconds)
        return fitted.slope * fitted.seconds > allowed

    @property
    def slope(self) -> str:
        """With its interval, in units an hour."""
        if self.trend is None:
            return "not judged"
        fitted = (x * HOUR for x in (self.trend.slope, self.trend.lowest, self.trend.highest))
        slope, lowest, highest = map(_signed, fitted)
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
        fitted = trend(points, after=after, until=until, block=block)
        found.append(Finding(quantity, mean, fitted))
    return found


def _signed(value: float) -> str:
    """Three digits, two of them behind the point at most, and no minus before a zero."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{round(value, digits) + 0.0:+,.{digits}f}"
