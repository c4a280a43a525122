"""The command line of the service: a flag for every setting that is no secret.

    python -m service --port 9000 --workers 2     as DIGITSERVE_PORT=9000 DIGITSERVE_WORKERS=2

A flag overrides the variable of its setting. What it gives is put into the environment, so that all
values are checked in one place and worker processes inherit them.
"""

from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic.fields import FieldInfo

from contract.command_line import CommandLine, program, suggestion
from service.settings import PREFIX, SECRETS, Settings, flag_of

DESCRIPTION = """\
Serve the current model version over HTTP: python -m service

Each flag is also an environment variable: --max-batch 32 is DIGITSERVE_MAX_BATCH=32. If both are
given, the flag counts.
"""
# What export reads, and what `contract.settings` does.
OF_OTHERS = {"DIGITSERVE_SIGNING_KEY", "DIGITSERVE_COMPOSE"}


def parser() -> CommandLine:
    flags = program("service", DESCRIPTION, abbreviations=False)
    flags.usage = "python -m service [--help] [--version] [--check] [--SETTING VALUE ...]"
    flags.add_argument("--check", action="store_true", help="check the settings and exit")
    secrets = ["secrets are environment variables, or files that they name (..._FILE):"]
    for name, field in Settings.model_fields.items():
        if name in SECRETS:
            flags.add_argument(flag_of(name), action=_RefusedSecret, nargs="?", help=SUPPRESS)
            secrets.append(f"  {PREFIX + name.upper():24}{field.description}")
        else:
            flags.add_argument(flag_of(name), metavar=_metavar(field), help=_help(field))
    flags.epilog = "\n".join(secrets)
    return flags


def variables_of(arguments: Namespace) -> dict[str, str]:
    """The environment variables of the settings that were given as flags."""
    given = {name: getattr(arguments, name, None) for name in Settings.model_fields}
    return {PREFIX + name.upper(): value for name, value in given.items() if value is not None}


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each DIGITSERVE_ variable that is no setting, most likely misspelt."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    files = [f"{PREFIX}{name.upper()}_FILE" for name in sorted(SECRETS)]
    return [
        f"{name} is no setting{suggestion(name, known + files)}"
        for name in environment
        if name.startswith(PREFIX) and name not in (*known, *files, *OF_OTHERS)
    ]


class _RefusedSecret(Action):
    """All users of a machine can read the command lines of its processes."""

    def __call__(
        self, flags: ArgumentParser, namespace: Namespace, values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> NoReturn:  # fmt: skip
        variable = PREFIX + self.dest.upper()
        flags.error(
            f"{option_string} would show a secret in the list of processes: set {variable}, or "
            f"{variable}_FILE to the path of a file that holds it"
        )


def _metavar(field: FieldInfo) -> str:
    return "N" if field.annotation in (int, float, int | None) else "VALUE"


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if field.default in (None, "", ()) or field.default_factory:  # which the description names
        return text
    return f"{text}; default: {field.default}"
