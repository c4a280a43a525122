"""Manage the model store: python -m contract COMMAND

The store is --models (or DIGITSERVE_MODELS), a folder or s3://bucket/prefix (also gs://, az://);
the model is --name (or DIGITSERVE_MODEL).
If DIGITSERVE_TRUSTED_KEYS is set, only versions signed with one of these keys are accepted, as in
the service. With --json, the output is JSON. Exit codes: 0 success, 1 refused or something is
broken, 2 usage error.
"""

import json
import os
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path

from contract import report
from contract.card import ModelCard
from contract.command_line import program
from contract.current import NUMBER
from contract.errors import NotConfirmed, StoreError
from contract.location import location_of
from contract.report import Report
from contract.store import keys_of, open_store

_ON_STORE: dict[str, tuple[Callable[..., Report], str, str]] = {
    # command: function, its arguments after the store, help
    "list": (report.listing, "", "list all versions and mark the current one"),
    "show": (report.showing, "version", "print the card of a version"),
    "verify": (report.verifying, "version", "compare the files of a version with its card"),
    "activate": (report.activating, "version force", "make a version the current one"),
    "rollback": (report.rolling_back, "", "make the previous version current again"),
    "history": (report.history, "", "list when which version became current"),
    "prune": (report.pruning, "keep dry_run", "remove old versions, but never the current and "
              "the previous one, and in a bucket none that was current within the last hour"),
    "diff": (report.comparing, "a b", "show the differences between the cards of two versions"),
}  # fmt: skip
_VERSIONS = ("version", "a", "b")  # arguments that take a number or "current"


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        content, text = arguments.run(arguments)
    except (StoreError, NotConfirmed, OSError) as error:
        if arguments.json:
            print(json.dumps({"error": str(error)}))
        print(f"contract: {error}", file=sys.stderr)
        return 1
    print(json.dumps(content, indent=2) if arguments.json else text)
    return int(isinstance(content, dict) and content.get("ok") is False)  # from verify


def _parser() -> ArgumentParser:
    parser = program("contract", __doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, meaning: str, run: Callable[[Namespace], Report]) -> ArgumentParser:
        command = commands.add_parser(name, help=meaning, description=meaning)
        command.set_defaults(run=run)
        command.add_argument("--json", action="store_true", help="print JSON")
        return command

    models = os.environ.get("DIGITSERVE_MODELS") or "models"
    model = os.environ.get("DIGITSERVE_MODEL", "digits")
    for name, (_, takes, meaning) in _ON_STORE.items():
        command = add(name, meaning, _run_on_store)
        command.set_defaults(command=name)
        command.add_argument("--models", type=location_of, metavar="STORE", default=models)
        command.add_argument("--name", default=model, help="name of the model")
        for each in filter(_VERSIONS.__contains__, takes.split()):
            metavar = each[0].upper()
            command.add_argument(each, type=_version, metavar=metavar, help="number or: current")
        if name == "activate":
            command.add_argument(
                "--force", action="store_true", help="even if it is worse than the current version"
            )
        if name == "prune":
            command.add_argument(
                "--keep", type=_keep, required=True, metavar="N", help="newest versions to keep"
            )
            command.add_argument("--dry-run", action="store_true", help="only list the versions")
    keygen = add("keygen", "create a key that signs versions", _keygen)
    keygen.add_argument("file", type=Path, metavar="FILE", help="file for the private key")
    add("schema", "print the card's JSON Schema", _schema)
    return parser


def _run_on_store(arguments: Namespace) -> Report:
    keys = keys_of(os.environ.get("DIGITSERVE_TRUSTED_KEYS"))
    store = open_store(arguments.models, arguments.name, keys)
    run, takes, _ = _ON_STORE[arguments.command]
    values = {name: getattr(arguments, name) for name in takes.split()}
    for name in values.keys() & _VERSIONS:
        values[name] = values[name] or store.current()
    return run(store, *values.values())


def _keygen(arguments: Namespace) -> Report:
    from contract import signature

    try:
        key = signature.generate(arguments.file)
    except FileExistsError as error:
        raise StoreError(f"{arguments.file} exists already, and keys are not replaced") from error
    text = (
        f"Wrote the private key to {arguments.file}. Keep it secret: export signs with it\n"
        f"(--signing-key or DIGITSERVE_SIGNING_KEY). The service trusts it with\n\n"
        f"DIGITSERVE_TRUSTED_KEYS={key}"
    )
    return {"private_key": str(arguments.file), "public_key": key}, text


def _schema(_: Namespace) -> Report:
    schema = ModelCard.model_json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema"
    }
    return schema, json.dumps(schema, indent=2)


def _version(word: str) -> int | None:
    """The number of a version, or None for the current one."""
    if word == "current":
        return None
    if not re.fullmatch(NUMBER, word):
        raise ArgumentTypeError(f"{word!r} is not a version: give its number, or current")
    return int(word)


def _keep(word: str) -> int:
    if not re.fullmatch(NUMBER, word):
        raise ArgumentTypeError(f"{word!r} must be a number of versions, at least 1")
    return int(word)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` has read enough: no traceback
    sys.exit(main())
