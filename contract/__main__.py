"""Manage the model store: python -m contract COMMAND

Takes the store from --models or DIGITSERVE_MODELS, the model's name from --name or DIGITSERVE_MODEL
and, as the service does, only versions signed with a key of DIGITSERVE_TRUSTED_KEYS if that is set.
With --json, prints JSON for programs. Exit codes: 0 done, 1 refused or something is broken, 2 usage
error.
"""

import json
import os
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path

from contract import report
from contract.card import ModelCard
from contract.current import NUMBER
from contract.errors import NotConfirmed, StoreError
from contract.report import Answer
from contract.store import Store, keys_of, open_store


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        answer, text = arguments.command(arguments)
    except (StoreError, NotConfirmed, OSError) as error:
        if arguments.json:
            print(json.dumps({"error": str(error)}))
        print(f"contract: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2) if arguments.json else text)
    return int(isinstance(answer, dict) and answer.get("ok") is False)  # verify's


def _keygen(arguments: Namespace) -> Answer:
    from contract import signature

    try:
        key = signature.generate(arguments.file)
    except FileExistsError as error:
        raise StoreError(f"{arguments.file} is there already, and keys are not replaced") from error
    text = (
        f"Wrote the private key to {arguments.file}: keep it secret, export signs with it\n"
        f"(--signing-key or DIGITSERVE_SIGNING_KEY). The service trusts it with\n\n"
        f"DIGITSERVE_TRUSTED_KEYS={key}"
    )
    return {"private_key": str(arguments.file), "public_key": key}, text


def _schema(_: Namespace) -> Answer:
    schema = ModelCard.model_json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema"
    }
    return schema, json.dumps(schema, indent=2)


def _of_store(run: Callable[[Store, Namespace], Answer]) -> Callable[[Namespace], Answer]:
    """A command that opens the store, and gets the number of a version given as `current`."""

    def command(arguments: Namespace) -> Answer:
        keys = keys_of(os.environ.get("DIGITSERVE_TRUSTED_KEYS"))
        store = open_store(arguments.models, arguments.name, keys)
        for name in {"version", "a", "b"} & vars(arguments).keys():
            if getattr(arguments, name) is None:
                setattr(arguments, name, store.current())
        return run(store, arguments)

    return command


def _version(word: str) -> int | None:
    """A version's number, or None for the current one."""
    if word == "current":
        return None
    if not re.fullmatch(NUMBER, word):
        raise ArgumentTypeError(f"{word!r} is no version: give its number, or current")
    return int(word)


def _keep(word: str) -> int:
    if not re.fullmatch(NUMBER, word):
        raise ArgumentTypeError(f"{word!r} must be a number of versions, at least 1")
    return int(word)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m contract", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[Namespace], Answer], meaning: str) -> ArgumentParser:
        added = commands.add_parser(name, help=meaning, description=meaning)
        added.set_defaults(command=run)
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    def of_store(
        name: str, run: Callable[[Store, Namespace], Answer], meaning: str, *versions: str
    ) -> ArgumentParser:
        added = command(name, _of_store(run), meaning)
        models = Path(os.environ.get("DIGITSERVE_MODELS", "models"))
        model = os.environ.get("DIGITSERVE_MODEL", "digits")
        added.add_argument("--models", type=Path, metavar="DIR", default=models)
        added.add_argument("--name", default=model, help="of the model")
        for each in versions:
            shown = each[0].upper()
            added.add_argument(each, type=_version, metavar=shown, help="a number, or: current")
        return added

    of_store("list", lambda store, _: report.listing(store), "every version; which one is current")
    of_store(
        "show", lambda store, a: report.showing(store, a.version), "a version's card", "version"
    )
    of_store(
        "verify",
        lambda store, a: report.verifying(store, a.version),
        "hash every file of a version and compare with its card",
        "version",
    )
    of_store(
        "activate",
        lambda store, a: report.switching(store, store.activate(a.version), a.version),
        "make a version the current one",
        "version",
    )
    of_store(
        "rollback",
        lambda store, _: report.switching(store, store.rollback()),
        "make the previous version current again",
    )
    of_store("history", lambda store, _: report.remembering(store), "when versions became current")
    prune = of_store(
        "prune",
        lambda store, a: report.pruning(store, store.prune(a.keep, dry=a.dry_run), dry=a.dry_run),
        "remove old versions, never the current or the one before it",
    )
    prune.add_argument("--keep", type=_keep, required=True, metavar="N", help="newest that stay")
    prune.add_argument("--dry-run", action="store_true", help="only list what would be removed")
    of_store(
        "diff",
        lambda store, a: report.comparing(store, a.a, a.b),
        "what differs between two versions' cards",
        "a",
        "b",
    )
    keygen = command("keygen", _keygen, "make a key to sign versions with")
    keygen.add_argument("file", type=Path, metavar="FILE", help="where the private key goes")
    command("schema", _schema, "print the card's JSON Schema")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` has read enough: no traceback
    sys.exit(main())
