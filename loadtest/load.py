"""What came of asking a server for a while."""

import math
from dataclasses import dataclass
from typing import NamedTuple

MANY, ONE = 64, 1  # connections


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Load:
    connections: int
    seconds: float
    answers: int
    refused: int  # of the answers: status 400 or more
    broken: int  # connections that failed, answers that never came
    p50: float  # seconds
    p99: float
    slowest: float
    client_cpu: float  # seconds that the client took itself

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    @property
    def good(self) -> int:
        return self.answers - self.refused


def quantile(times: list[float], q: float) -> float:
    """The smallest time within which a share `q` of all lies; 0 where there is none."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else 0.0
