"""How fast a quantity grows, and how sure that is.

    points --after the warm-up--> means of blocks --a line through them--> slope, its 95 % interval

Looks that follow each other tell much the same: what is high now is high two seconds later.
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
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev
from typing import NamedTuple

from scipy.stats import linregress
from scipy.stats import t as students_t

SURE = 0.95
FEWEST = 6  # blocks that a slope is judged by


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
