"""Types of command-line arguments: numbers within bounds, times and shares.

50ms, 0.05s, 0.05    seconds
0.1%, 0.001          fraction
"""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}  # seconds; a unit that ends with another comes first


def whole_number(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return read


def number_between(least: float, most: float = math.inf) -> Callable[[str], float]:
    bounds = f"of {least:g} or more" if math.isinf(most) else f"from {least:g} to {most:g}"

    def read(text: str) -> float:
        value = _number(text, text, f"a number {bounds}")
        if not (least <= value <= most) or math.isinf(value):
            raise ArgumentTypeError(f"{text} is not a number {bounds}")
        return value

    return read


def share_between(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = fraction(text)
        if not least <= value <= most:
            raise ArgumentTypeError(f"{text} is not a share from {least:g} to {most:g}")
        return value

    return read


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
    value = _number(text.removesuffix("%"), text, "a share such as 0.1% or 0.001")
    value = value / 100 if text.endswith("%") else value
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text} is not a share from 0 to 1, such as 0.1% or 0.001")
    return value


def _number(text: str, whole: str, wanted: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{whole!r} is not {wanted}") from None
