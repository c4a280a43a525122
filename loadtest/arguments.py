"""Command-line arguments: bounded numbers, times, shares, files, and those of several programs.

50ms, 0.05, 1h30m    seconds
0.05-0.5             seconds, from the least to the most
0.1%, 0.001          fraction
"""

import math
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}  # seconds


class Think(NamedTuple):
    """Seconds between an answer and the same user's next request: any time in between."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:g}-{self.most:g}"

    @property
    def mean(self) -> float:
        return (self.least + self.most) / 2


def parser(program: str, description: str | None, *, name: str = "--name") -> ArgumentParser:
    """Of `python -m <program>`, with the arguments that select a model."""
    # Here, because the image of locust's users, which reads arguments with this module, lacks it.
    from contract import command_line

    made = command_line.program(program, description)
    store = "folder of the model versions; default: models"
    made.add_argument("--models", type=Path, metavar="DIR", default=Path("models"), help=store)
    default = os.environ.get("DIGITSERVE_MODEL", "digits")
    text = f"name of the model; default: {default}"
    made.add_argument(name, dest="name", default=default, help=text)
    return made


def add_files(parser: ArgumentParser, *, markdown: str = "") -> None:
    add, tables = parser.add_argument, f"write the tables with their conditions{markdown}"
    add("--json", type=file(), metavar="FILE", help="write everything that was measured")
    add("--markdown", type=file(), metavar="FILE", help=tables)


def parse(parser: ArgumentParser, words: list[str] | None) -> Namespace:
    """`words`, or those of the command line; `command` is added: all of them, as one line."""
    words = sys.argv[1:] if words is None else words
    return parser.parse_args(words, Namespace(command=" ".join([parser.prog, *words])))


def whole_number(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return read


def number_between(
    least: float,
    most: float = math.inf,
    *,
    read: Callable[[str], float] = float,
    what: str = "a number",
    example: str = "",
) -> Callable[[str], float]:
    """`read` raises ValueError for a text that is no such number."""
    bounds = f"of {least:g} or more" if math.isinf(most) else f"from {least:g} to {most:g}"

    def checked(text: str) -> float:
        with suppress(ValueError):
            value = read(text)
            if least <= value <= most and math.isfinite(value):
                return value
        raise ArgumentTypeError(f"{text!r} is not {what} {bounds}{example}")

    return checked


def share_between(least: float, most: float) -> Callable[[str], float]:
    """0.1% or 0.001"""

    def read(text: str) -> float:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)

    return number_between(least, most, read=read, what="a share", example=", such as 0.1%")


fraction = share_between(0, 1)


def seconds(text: str) -> float:
    """50ms, 0.05s, 0.05, 2m or 1h30m; more than 0."""
    with suppress(ValueError):
        if found := re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+) ?(us|ms|s)?)?", text):
            hours, minutes, rest, unit = found.groups(default="")
            total = 3600.0 * int(hours or 0) + 60.0 * int(minutes or 0)
            if total := total + float(rest or 0) * UNITS[unit or "s"]:
                return total
    raise ArgumentTypeError(f"{text!r} is not a time above 0, such as 50ms, 90s or 1h30m")


def think_time(text: str) -> Think:
    """0.05-0.5, or 0.5, which is always that."""
    least, dash, most = text.partition("-")
    with suppress(ValueError):
        think = Think(float(least), float(most if dash else least))
        if 0 <= think.least <= think.most < math.inf:
            return think
    raise ArgumentTypeError(f"{text!r} is not a number of seconds such as 0.5, or 0.05-0.5")


def url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        raise ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8000")
    return text.rstrip("/")


def file(suffix: str = "") -> Callable[[str], Path]:
    """A file to write after the measurement: its folder must exist before it."""

    def read(text: str) -> Path:
        path = Path(text)
        if not path.name.endswith(suffix):
            raise ArgumentTypeError(f"{text} is not a {suffix} file")
        if not path.absolute().parent.is_dir():
            raise ArgumentTypeError(f"{text}: there is no folder {path.parent}")
        return path

    return read
