"""The service level objective: 99 of 100 requests answered within p99, and how many may fail."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Slo:
    p99: float = 0.050  # seconds
    errors: float = 0.001  # fraction of all requests

    def holds(self, *, p99: float, errors: float) -> bool:
        return not self.broken(p99=p99, errors=errors)

    def broken(self, *, p99: float, errors: float) -> list[str]:
        """What is exceeded, each in a few words; empty if the objective is met."""
        found = []
        if not p99 <= self.p99:
            found.append(f"p99 {shown_seconds(p99)} > {shown_seconds(self.p99)}")
        if not errors <= self.errors:
            found.append(f"errors {shown_fraction(errors)} > {shown_fraction(self.errors)}")
        return found

    def __str__(self) -> str:
        return f"p99 <= {shown_seconds(self.p99)}, errors <= {shown_fraction(self.errors)}"


def shown_seconds(value: float) -> str:
    if not value < math.inf:
        return "never"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def shown_fraction(value: float) -> str:
    return f"{value * 100:.3g} %"
