"""What is noted of each request while the loop runs: lists, which are filled faster than arrays."""

import math
from collections import Counter

import numpy as np

from loadtest.openloop.arrivals import Times
from loadtest.openloop.heard import NO_ANSWER, Heard


class Notes:
    def __init__(self, count: int) -> None:
        self.taken = [math.inf] * count  # time.perf_counter
        self.sent = [math.inf] * count
        self.ended = [math.inf] * count
        self.status = [NO_ANSWER] * count
        self.right = bytearray(count)
        self.broken: Counter[str] = Counter()

    def heard(self, intended: Times, *, began: float, cpu: float) -> Heard:
        return Heard(
            intended=intended,
            taken=np.array(self.taken) - began,
            sent=np.array(self.sent) - began,
            ended=np.array(self.ended) - began,
            status=np.array(self.status, np.int16),
            right=np.array(self.right, np.bool_),
            cpu=(cpu,),
            broken=self.broken,
        )
