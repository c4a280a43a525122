"""What is asked for on the command line: `python -m loadtest --help` tells it.

What belongs to the users (weights, think, shape, steps, ...) is theirs, and handed on to locust;
what stands behind `--` too, as it is.
"""

import re
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from loadtest.slo import Slo, fraction, seconds
from loadtest.users.courses import FASTEST
from loadtest.users.settings import ARGUMENTS, think_of

DEFAULTS = {"shape": "steps", "steps": "8"}  # where they are not those of locust's users
TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


@dataclass(frozen=True)
class Options:
    host: str | None  # None: a service is started
    users: int  # at most
    run_time: int  # seconds
    users_settings: dict[str, str]  # as locust's users read them: loadtest.users.settings
    processes: int | None  # of locust; None: as many as it has cores
    service_cores: int  # of the one that is started
    slo: Slo
    models: Path
    results: Path
    more: tuple[str, ...]  # for locust

    @classmethod
    def read(cls, words: list[str]) -> Self:
        words, more = _parted(words)
        told = vars(_parser().parse_args(words))
        slo = Slo(p99=told.pop("p99"), errors=told.pop("errors"))
        settings = {name: told.pop(name) for name in ARGUMENTS}
        return cls(**told, slo=slo, users_settings=settings, more=tuple(more))

    @property
    def model(self) -> str:
        return self.users_settings["model"]

    @property
    def shape(self) -> str:
        return self.users_settings["shape"]

    @property
    def think(self) -> float:
        """Seconds, mean."""
        return sum(think_of(self.users_settings["think"])) / 2

    @property
    def words(self) -> list[str]:
        """Those of locust that say who asks, how often and how long."""
        settings = self.users_settings.items()
        return [
            f"--users={self.users}",
            f"--spawn-rate={min(self.users, FASTEST):g}",  # of the shape constant
            f"--run-time={self.run_time}s",
            *(f"--{name.replace('_', '-')}={value}" for name, value in settings),
        ]


def whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return int(text)

    return read


def run_time(text: str) -> int:
    """90s, 2m, 1h30m or 90, in seconds."""
    found = TIME.fullmatch(text)
    parts = [int(part or 0) for part in found.groups()] if found else [0]
    total = sum(part * each for part, each in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise ArgumentTypeError(f"{text!r} is not a time such as 90s, 2m or 1h30m")
    return total


def host(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        raise ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8000")
    return text.rstrip("/")


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _parser() -> ArgumentParser:
    from loadtest import __main__ as program  # its docstring is the help

    parser = ArgumentParser(
        "python -m loadtest",
        description=program.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", type=host, metavar="URL", help="of a running service; default: one is started")
    add("--users", type=whole(1), default=400, help="at most; default: 400")
    add("--run-time", type=run_time, default=96, metavar="TIME", help="of all; default: 96s")
    for name, each in ARGUMENTS.items():
        default = DEFAULTS.get(name, each.default)
        told = f"{each.help}; default: {default}".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        add(flag, type=each.checked, choices=each.choices, default=default, help=told)
    add("--p99", type=seconds, default="50ms", metavar="TIME", help="of the SLO; default: 50ms")
    add("--errors", type=fraction, default="0.1%", metavar="SHARE", help="default: 0.1%%")
    add("--processes", type=whole(1), help="of locust; default: one for each of its cores")
    add("--service-cores", type=whole(1), default=1, help="of the one that is started; default: 1")
    add("--models", type=Path, metavar="DIR", default=Path("models"))
    add("--results", type=Path, metavar="DIR", default=Path("loadtest/results"))
    return parser
