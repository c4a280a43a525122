"""Look after the model store: python -m contract COMMAND

Takes the store from --models or DIGITSERVE_MODELS, the model's name from --name or DIGITSERVE_MODEL
and, as the service does, only versions signed with a key of DIGITSERVE_TRUSTED_KEYS if that is set.
With --json, prints JSON for programs. Exit codes: 0 done, 1 refused or something is broken, 2 the
command was not understood.
"""

import json
import os
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path

from contract import difference, report
from contract.access import keys_of, open_store
from contract.card import ModelCard
from contract.current import NUMBER
from contract.errors import NotConfirmed, StoreError
from contract.report import Answer
from contract.store import Store


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        answer, text = arguments.command(arguments)
    except (StoreError, NotConfirmed, OSError) as error:
        _refuse(str(error), arguments)
        return 1
    print(json.dumps(answer, indent=2) if arguments.json else text)
    return int(arguments.command is _verify and not answer["ok"])


def _refuse(reason: str, arguments: Namespace) -> None:
    if arguments.json:
        print(json.dumps({"error": reason}))
    print(f"contract: {reason}", file=sys.stderr)


def _list(arguments: Namespace) -> Answer:
    return report.listing(_store(arguments))


def _show(arguments: Namespace) -> Answer:
    store = _store(arguments)
    return report.showing(store, _number(store, arguments.version))


def _verify(arguments: Namespace) -> Answer:
    store = _store(arguments)
    return report.verifying(store, _number(store, arguments.version))


def _activate(arguments: Namespace) -> Answer:
    store = _store(arguments)
    number = _number(store, arguments.version)
    return report.switching(store, store.activate(number), number)


def _rollback(arguments: Namespace) -> Answer:
    store = _store(arguments)
    switch = store.rollback()
    return report.switching(store, switch, switch.after)


def _history(arguments: Namespace) -> Answer:
    return report.remembering(_store(arguments))


def _prune(arguments: Namespace) -> Answer:
    store = _store(arguments)
    removed = store.prune(arguments.keep, dry=arguments.dry_run)
    return report.pruning(store, removed, dry=arguments.dry_run)


def _diff(arguments: Namespace) -> Answer:
    store = _store(arguments)
    first, second = _number(store, arguments.a), _number(store, arguments.b)
    return difference.comparing(store, first, second)


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


def _store(arguments: Namespace) -> Store:
    keys = keys_of(os.environ.get("DIGITSERVE_TRUSTED_KEYS"))
    return open_store(arguments.models, arguments.name, keys)


def _number(store: Store, version: int | None) -> int:
    return store.current() if version is None else version


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
        if run not in (_keygen, _schema):
            models = Path(os.environ.get("DIGITSERVE_MODELS", "models"))
            name_of_model = os.environ.get("DIGITSERVE_MODEL", "digits")
            added.add_argument("--models", type=Path, metavar="DIR", default=models)
            added.add_argument("--name", default=name_of_model, help="of the model")
        return added

    def of_version(added: ArgumentParser) -> None:
        added.add_argument("version", type=_version, metavar="V", help="a number, or: current")

    command("list", _list, "every version, and which one is current")
    of_version(command("show", _show, "a version's card"))
    of_version(command("verify", _verify, "hash every file of a version and compare with its card"))
    of_version(command("activate", _activate, "make a version the current one"))
    command("rollback", _rollback, "make the version current that was so before")
    command("history", _history, "which version was made current when")
    prune = command("prune", _prune, "remove old versions, never the current or the one before it")
    prune.add_argument("--keep", type=_keep, required=True, metavar="N", help="newest that stay")
    prune.add_argument("--dry-run", action="store_true", help="only say which would go")
    diff = command("diff", _diff, "what differs between two versions' cards")
    diff.add_argument("a", type=_version, metavar="A", help="a number, or: current")
    diff.add_argument("b", type=_version, metavar="B", help="a number, or: current")
    keygen = command("keygen", _keygen, "make a key to sign versions with")
    keygen.add_argument("file", type=Path, metavar="FILE", help="where the private key goes")
    command("schema", _schema, "print the card's JSON Schema")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` has read enough: no traceback
    sys.exit(main())
