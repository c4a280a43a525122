"""What `python -m contract` prints for people: aligned columns, sizes and shares one can read."""

import re
import textwrap
from collections.abc import Sequence

NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]\d+)?(%| us| k?B| MB| GB| points)?")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a head, each column as wide as its longest cell; numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = [all(_is_number(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def pairs(rows: Sequence[Sequence[str]], width: int = 100) -> str:
    """Names and what they stand for, long texts wrapped."""
    left = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, text in rows:
        parts = textwrap.wrap(text, width - left, break_long_words=False) or [""]
        lines += [f"{name.ljust(left)}{parts[0]}", *(" " * left + part for part in parts[1:])]
    return "\n".join(lines)


def percent(fraction: float) -> str:
    return f"{fraction:.2%}"


def size(count: int) -> str:
    """Bytes, in the unit that suits them: 146 kB."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} B"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell))
