"""How fast a quantity grows, and how certain that is.

    points --after the warm-up--> means of blocks --a line fitted to them--> slope, 95 % interval

Successive observations are correlated: a value that is high now is high two seconds later. The
interval of a line through all of them would be far too narrow. Means of blocks that are long beside
that correlation are nearly independent; the autocorrelation r that is left between the residuals of
neighbouring blocks reduces their number n to n (1 - r) / (1 + r)
(Santer et al. 2000, doi.org/10.1029/1999JD901105).

Where nothing grows, the interval should lie above zero once in forty times: docs/how-to/loadtest.md
has the measured frequencies, for noise that forgets within 0 to 300 s.

A quantity grows if the 95 % interval of its slope lies above zero, and the slope above the bound.
The bounds are what an operator has to act on: at 200 requests a second a leak of three bytes a
request is 2.1 MB an hour, one descriptor or thread a switch is 60 an hour. A slope below its bound
is reported, and does not fail the soak: allocators settle for hours, and other programs make the
machine slower and faster. In a short soak that is most of the growth, so it fails only if the
growth reaches what the bound allows in a quarter of an hour.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import linregress
from scipy.stats import t as students_t

from loadtest.target.monitor import Period

CONFIDENCE = 0.95
FEWEST = 6  # blocks that a slope is judged by
HOUR = 3600.0  # seconds
MB = 2**20  # bytes
MS = 1e-3  # seconds
LEAST = 900.0  # seconds for which the bound's growth is allowed at least

Array = NDArray[np.float64]


class Point(NamedTuple):
    at: float  # seconds
    value: float


@dataclass(frozen=True)
class Trend:
    blocks: list[Point]  # the middle of each, and its mean
    slope: float  # a second
    margin: float  # to both sides of the slope: the 95 % interval

    @property
    def seconds(self) -> float:
        """The time from the first block's middle to the last one's."""
        return self.blocks[-1].at - self.blocks[0].at

    @property
    def lowest(self) -> float:
        return self.slope - self.margin

    @property
    def highest(self) -> float:
        return self.slope + self.margin

    def line(self, at: float | Array) -> tuple[Array, Array]:
        """The line at a time, and the margin to both sides of it there."""
        times, means = np.array(self.blocks).T
        away = at - times.mean()
        return means.mean() + self.slope * away, self.margin * np.hypot(times.std(), away)


def trend(points: Sequence[Point], *, after: float, until: float, block: float) -> Trend | None:
    """The trend of the points of that time, in blocks of so many seconds; None for too few."""
    found = blocks(points, after=after, until=until, block=block)
    if len(found) < FEWEST:
        return None
    times, means = np.array(found).T
    if len(set(means)) == 1:
        return Trend(found, 0.0, 0.0)
    fitted = linregress(times, means)
    residuals = means - fitted.intercept - fitted.slope * times
    return Trend(found, float(fitted.slope), float(fitted.stderr * _standard_errors(residuals)))


def blocks(points: Sequence[Point], *, after: float, until: float, block: float) -> list[Point]:
    """Whole blocks, one after the other; one without a point is left out."""
    found = []
    for number in range(int((until - after) / block + 1e-9)):
        begin = after + number * block
        inside = [point.value for point in points if begin < point.at <= begin + block]
        if inside:
            found.append(Point(begin + block / 2, fmean(inside)))
    return found


def _standard_errors(residuals: Array) -> float:
    """How many of them the interval extends to both sides of the slope."""
    squares = float(residuals @ residuals)
    neighbours = float(residuals[:-1] @ residuals[1:])
    correlation = max(0.0, neighbours / squares) if squares else 0.0
    number = len(residuals)
    effective = max(3.0, number * (1 - correlation) / (1 + correlation))
    inflation = math.sqrt((number - 2) / (effective - 2))
    return inflation * float(students_t.ppf((1 + CONFIDENCE) / 2, effective - 2))


@dataclass(frozen=True)
class Quantity:
    name: str
    of: Callable[[Period], float]
    unit: str
    scale: float  # of the unit
    bound: float  # units an hour; infinite: reported, and never a failure

    def points(self, periods: Sequence[Period]) -> list[Point]:
        """In the unit; without zeros, which mean that nothing was measured."""
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
    """Three digits, at most two of them after the decimal point; never -0."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{round(value, digits) + 0.0:+,.{digits}f}"
