"""The command line of every program: --version, and errors that suggest what was meant.

    flags = program("training", __doc__)     python -m training --version
    flags.add_argument("--epochs")           --epoch: did you mean --epochs?

Also for commands of a program, which `add_subparsers` creates with the same class. It imports only
the standard library, since programs use it before they import what takes seconds.
"""

import os
import signal
from argparse import Action, ArgumentError, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from contract.provenance import release


class CommandLine(ArgumentParser):
    """An ArgumentParser that also rejects unknown arguments of commands where they stand."""

    beside: Sequence[ArgumentParser] = ()  # parsers of other flags of the same command line

    def parse_known_args(  # type: ignore[override]  # the namespace may be of any type
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flags = [word.partition("=")[0] for word in unknown if word.startswith("--")]
            known = [flag for each in (self, *self.beside) for flag in each._option_string_actions]
            hints = "".join(suggestion(flag, known) for flag in flags)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hints}")
        return found, unknown

    def _check_value(self, action: Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except ArgumentError as error:
            hint = suggestion(str(value), map(str, action.choices or ()))
            raise ArgumentError(action, error.message + hint) from None


def program(name: str, description: str | None, *, abbreviations: bool = True) -> CommandLine:
    """The command line of `python -m <name>`."""
    made = CommandLine(
        f"python -m {name}",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=abbreviations,
    )
    add_version(made)
    return made


def add_version(flags: ArgumentParser) -> None:
    flags.add_argument(
        "--version",
        action="version",
        version=f"digitserve {release()}",
        help="print the version of digitserve",
    )


def end_at_interrupt(name: str) -> None:
    """End the process at Ctrl-C with a line and code 130, while it still imports its modules.

    For a program whose imports take seconds: an exception would be a traceback of some module, or
    be lost in it. `raise_at_interrupt` ends this.
    """

    def end(*_: object) -> NoReturn:
        os.write(2, f"{name}: stopped\n".encode())
        os._exit(128 + signal.SIGINT)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by nohup
        signal.signal(signal.SIGINT, end)


def raise_at_interrupt() -> None:
    """Have Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def suggestion(word: str, known: Iterable[str]) -> str:
    """', did you mean --epochs?' for --epoch; empty if nothing known is similar."""
    near = get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]}?" if near else ""
