"""The outcome of every request, and how late and how busy the generator was."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from loadtest.client.result import quantile

Times = NDArray[np.float64]  # (n,), seconds

NO_ANSWER = 0  # the status of a request that got none
OK = 200


@dataclass(frozen=True)
class Outcomes:
    """A row for each request. Times are seconds since the generator began."""

    intended: NDArray[np.float64]
    taken: NDArray[np.float64]  # when the generator got to it: sent it, or found no connection free
    sent: NDArray[np.float64]  # inf: never
    ended: NDArray[np.float64]  # inf: never
    status: NDArray[np.int16]
    right: NDArray[np.bool_]  # the answer holds what it must
    cpu: tuple[float, ...]  # of each generator, the share of a core that it took while it sent
    broken: Counter[str]  # requests that lost their connection, by reason

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """The outcomes of several generators that began at the same time."""

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in parts])

        rows = {name: joined(name) for name in ROWS}
        cpu = tuple(share for part in parts for share in part.cpu)
        return cls(**rows, cpu=cpu, broken=sum((part.broken for part in parts), Counter()))

    def since(self, seconds: float) -> Self:
        """The outcomes of requests that were due at that time or later."""
        there = self.intended >= seconds
        return replace(self, **{name: getattr(self, name)[there] for name in ROWS})

    @property
    def requests(self) -> int:
        return len(self.intended)

    @property
    def unanswered(self) -> int:
        """Requests without an answer, those on broken connections included."""
        return int((self.status == NO_ANSWER).sum())

    @property
    def refused(self) -> int:
        """Requests with another status than 200."""
        return int(((self.status != OK) & (self.status != NO_ANSWER)).sum())

    @property
    def wrong(self) -> int:
        return int(((self.status == OK) & ~self.right).sum())

    @property
    def errors(self) -> float:
        """Unanswered, refused and wrong ones, as a fraction of the requests."""
        failed = self.unanswered + self.refused + self.wrong
        return failed / self.requests if self.requests else 0.0

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Seconds from when each request was due; inf where no answer came.

        Refused requests are left out: a quick refusal is not a quick answer.
        """
        counted = (self.status == OK) | (self.status == NO_ANSWER)
        found: NDArray[np.float64] = (self.ended - self.intended)[counted]
        return found

    @property
    def late(self) -> float:
        """Seconds, p99, by which the generator itself got to a request after it was due."""
        return quantile(self.taken - self.intended, 0.99)


ROWS = ("intended", "taken", "sent", "ended", "status", "right")


class Recorder:
    """The values of each request while the loop runs, in lists, which are fast to fill."""

    def __init__(self, count: int) -> None:
        self.taken = [math.inf] * count  # time.perf_counter
        self.sent = [math.inf] * count
        self.ended = [math.inf] * count
        self.status = [NO_ANSWER] * count
        self.right = bytearray(count)
        self.broken: Counter[str] = Counter()

    def outcomes(self, intended: Times, *, began: float, cpu: float) -> Outcomes:
        return Outcomes(
            intended=intended,
            taken=np.array(self.taken) - began,
            sent=np.array(self.sent) - began,
            ended=np.array(self.ended) - began,
            status=np.array(self.status, np.int16),
            right=np.array(self.right, np.bool_),
            cpu=(cpu,),
            broken=self.broken,
        )
