"""The median of a few independent repetitions, and how sure it is, whatever their distribution.

Each repetition is as likely above the true median as below it. That k or more of n lie on the same
side is a matter of tossing coins: the true median lies between the k-th lowest and the k-th highest
unless fewer than k lie below it or above it. Of 6, it lies between the lowest and the highest with
1 - 2 / 2^6 = 96.9 %.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

WANTED = 0.95  # confidence, where there are enough repetitions for it


@dataclass(frozen=True)
class Interval:
    median: float
    low: float
    high: float
    confidence: float  # that the true median lies between; 0 with a single repetition
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The narrowest that is sure enough, else the widest there is."""
        ordered, count = sorted(values), len(values)
        inward = max(
            (k for k in range(1, count // 2 + 1) if covered(count, k) >= WANTED), default=1
        )
        return cls(
            median=statistics.median(ordered),
            low=ordered[inward - 1],
            high=ordered[-inward],
            confidence=covered(count, inward),
            repetitions=count,
        )


def covered(count: int, inward: int) -> float:
    """How likely the median lies from the `inward`-th lowest to the `inward`-th highest of all."""
    outside: int = sum(math.comb(count, below) for below in range(inward))
    return max(0.0, 1 - 2 * outside / 2.0**count)
