"""The settings of the users: arguments of locust's own command line and fields of its page.

Each is also an environment variable, LOADTEST_<NAME>. Workers receive them as the texts of the
command line or the page, so they are texts until `Settings.of` reads them.
"""

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from loadtest import arguments
from loadtest.users.courses import SHARES

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

WEIGHTS = {"png": 6, "jpeg": 1, "form": 1, "json": 2, "binary": 2, "wrong": 1}
CONSTANT = "constant"
SHAPES = (CONSTANT, *SHARES)


class WrongSetting(ValueError):
    """The message names the setting and its possible values."""


@dataclass(frozen=True)
class Settings:
    weights: dict[str, int]  # of all kinds
    think: arguments.Think
    model: str  # of /v2
    shape: str
    steps: int
    break_p99: float  # seconds
    break_errors: float  # fraction of requests that failed or were refused
    patience: float  # seconds that the service may need until it answers

    @classmethod
    def of(cls, options: Namespace) -> Self:
        values = vars(options)
        return cls(**{name: each.read(name, values[name]) for name, each in ARGUMENTS.items()})


@dataclass(frozen=True)
class Argument:
    reads: Callable[[str], Any]  # ValueError or ArgumentTypeError with the possible values
    default: str
    help: str
    choices: tuple[str, ...] | None = None

    def read(self, name: str, text: object) -> Any:
        try:
            return self.reads(str(text))
        except (ValueError, ArgumentTypeError) as error:
            raise WrongSetting(f"--{name.replace('_', '-')} {text!r}: {error}") from None

    def checked(self, text: str) -> str:
        """For argparse, whose message adds the name."""
        try:
            self.reads(text)
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r}: {error}") from None
        return text


def add_arguments(parser: "LocustArgumentParser") -> None:
    for name, each in ARGUMENTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            env_var=f"LOADTEST_{name.upper()}",
            type=each.checked,
            default=each.default,
            choices=each.choices,
            help=each.help,
            metavar=None if each.choices else "<...>",
        )


def weights_of(text: str) -> dict[str, int]:
    """The weights of all kinds; a kind that is not named keeps its default."""
    weights = dict(WEIGHTS)
    for word in text.replace(",", " ").split():
        kind, _, weight = word.partition("=")
        if kind not in WEIGHTS:
            raise ValueError(f"there is no kind {kind!r}, only {', '.join(WEIGHTS)}")
        if not re.fullmatch(r"\d{1,6}", weight):
            raise ValueError(f"{word!r} is not a weight: {kind}=2, or {kind}=0 to leave it out")
        weights[kind] = int(weight)
    if not any(weights.values()):
        raise ValueError("every kind is left out: one must have a weight")
    return weights


def matching(pattern: str, wanted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(wanted)
        return text

    return read


ARGUMENTS = {
    "weights": Argument(
        weights_of,
        " ".join(f"{kind}={weight}" for kind, weight in WEIGHTS.items()),
        "how many users send what, as 'png=6 wrong=0'; 0 leaves a kind out, what is not named "
        "keeps its weight",
    ),
    "think": Argument(
        arguments.think_time,
        "0.05-0.5",
        "seconds between an answer and the user's next request, least and most; 0: none",
    ),
    "model": Argument(
        matching(r"[\w.-]+", "letters, digits, and . _ - between them"),
        "digits",
        "name of the model, for the Open Inference Protocol",
    ),
    "shape": Argument(
        matching("|".join(SHAPES), f"one of {', '.join(SHAPES)}"),
        CONSTANT,
        "how the number of users changes up to --users within --run-time",
        SHAPES,
    ),
    "steps": Argument(arguments.whole_number(1), "5", "of --shape steps"),
    "break_p99": Argument(
        arguments.seconds, "500ms", "--shape ramp ends where p99 of the last 10 s is above this"
    ),
    "break_errors": Argument(
        arguments.fraction,
        "1%",
        "--shape ramp ends where more of the last 10 s failed or were refused",
    ),
    "patience": Argument(
        arguments.seconds, "60s", "that a service which does not answer yet is waited for"
    ),
}
