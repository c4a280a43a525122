"""When requests are due: a Poisson process, as of many clients who know nothing of each other."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]  # (n,), seconds


def poisson(rate: float, seconds: float, seed: Sequence[int]) -> Times:
    """`rate` a second for so long, in order; the same for the same seed."""
    random = np.random.default_rng(list(seed))
    expected = rate * seconds
    some = math.ceil(expected + 5 * math.sqrt(expected) + 10)  # nearly always enough
    times = np.cumsum(random.exponential(1 / rate, some))
    while times[-1] < seconds:
        times = np.append(times, times[-1] + np.cumsum(random.exponential(1 / rate, some)))
    return times[times < seconds]
