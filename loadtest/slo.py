"""What a service promises: that a share of its answers is soon enough, and how few may fail.

    --p99 50ms      99 of 100 requests are answered within it; also 0.05s, 0.05
    --errors 0.1%   requests that may fail; also 0.001

`seconds` and `fraction` read those, as argparse's `type=`.
"""

import math
from argparse import ArgumentTypeError
from dataclasses import dataclass

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}  # seconds; the one that ends another comes after it


@dataclass(frozen=True)
class Slo:
    p99: float = 0.050  # seconds
    errors: float = 0.001  # fraction of all requests

    def holds(self, *, p99: float, errors: float) -> bool:
        return p99 <= self.p99 and errors <= self.errors

    def broken(self, *, p99: float, errors: float) -> list[str]:
        """What is not kept, each in a few words; nothing where it holds."""
        found = []
        if not p99 <= self.p99:
            found.append(f"p99 {shown_seconds(p99)} > {shown_seconds(self.p99)}")
        if not errors <= self.errors:
            found.append(f"errors {shown_fraction(errors)} > {shown_fraction(self.errors)}")
        return found

    def __str__(self) -> str:
        return f"p99 <= {shown_seconds(self.p99)}, errors <= {shown_fraction(self.errors)}"


def seconds(text: str) -> float:
    """50ms, 0.05s or 0.05: more than nothing."""
    unit = next((unit for unit in UNITS if text.endswith(unit)), "")
    value = _number(text.removesuffix(unit), text, "a time such as 50ms or 0.05s")
    value *= UNITS.get(unit, 1.0)
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text} is not a time above 0, such as 50ms or 0.05s")
    return value


def fraction(text: str) -> float:
    """0.1% or 0.001: from 0 to 1."""
    share = text.endswith("%")
    value = _number(text.removesuffix("%"), text, "a share such as 0.1% or 0.001")
    value = value / 100 if share else value
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text} is not a share from 0 to 1, such as 0.1% or 0.001")
    return value


def shown_seconds(value: float) -> str:
    if not value < math.inf:
        return "never"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def shown_fraction(value: float) -> str:
    return f"{value * 100:.3g} %"


def _number(text: str, whole: str, wanted: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{whole!r} is not {wanted}") from None
