"""What a client measures while it puts a server under load."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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


def quantile(
    times: Sequence[float] | NDArray[np.float64], q: float, *, empty: float = 0.0
) -> float:
    """The smallest time that is not below a share `q` of all; `empty` without times."""
    return float(np.quantile(times, q, method="inverted_cdf")) if len(times) else empty
