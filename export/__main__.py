"""Export a training run as a model version: python -m export [--run DIR] [--name NAME]
Import a model that was trained elsewhere:   python -m export import --help

The artifacts are written and compared with PyTorch on the whole test set. Only if the predictions
agree are they published as the next version under models/<name>/, which becomes the current one.
The card is signed if there is a key: --signing-key FILE, or DIGITSERVE_SIGNING_KEY. As in the
service, DIGITSERVE_MODELS and DIGITSERVE_MODEL name the store and the model. If
DIGITSERVE_TRUSTED_KEYS is set, only a version that is signed with one of these keys becomes
current. A version that is known to be worse than the current one does not: see --judge.

Exit codes: 0 success, 1 refused (nothing was published, unless the message states otherwise),
2 usage error, 130 stopped with Ctrl-C.
"""

import errno
import os
import sys
from argparse import Namespace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from contract.command_line import end_at_interrupt, raise_at_interrupt

if __name__ == "__main__":  # PyTorch takes seconds to import
    end_at_interrupt("export")

from contract import report
from contract.errors import NotConfirmed, StoreError
from contract.store import Store, keys_of, open_store
from contract.version import Version
from export.arguments import import_parser, run_parser, source_of
from export.artifacts import BadGraph
from export.export import NotActivated, export, log
from export.importing import import_model
from export.original import BadModel
from export.proof import ProofFailed
from export.saved import run_of
from training.idx import BadData
from training.run import BadRun, Run

if TYPE_CHECKING:
    from contract.signature import Sign


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    try:
        if words[:1] == ["import"]:
            _import(words[1:])
        else:
            _export(words)
    except (BadRun, BadData, BadModel, BadGraph, ProofFailed, StoreError) as error:
        print(f"export: {error}. Nothing was published.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"export: {_reason(error)}. Nothing was published.", file=sys.stderr)
        return 1
    except MemoryError:
        reason = "this machine has too little memory, use a larger one"
        print(f"export: {reason}. Nothing was published.", file=sys.stderr)
        return 1
    except (NotActivated, NotConfirmed) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: stopped, nothing was published", file=sys.stderr)
        return 130
    return 0


def _reason(error: OSError) -> str:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return str(error)
    # The file is a temporary one: its name would not help.
    return (
        f"{error.strerror}: free some space where the models are (--models) and in {gettempdir()}, "
        "and export again"
    )


def _export(words: list[str]) -> None:
    arguments = run_parser(__doc__, os.environ).parse_args(words)
    run = _run(arguments)
    store = open_store(arguments.models, arguments.name, _trusted_keys())
    version = export(
        run,
        store,
        artifacts=arguments.artifacts,
        opset=arguments.opset,
        sign=_signer(arguments.signing_key),
        activate=arguments.activate,
        judge=arguments.judge,
        job=arguments.job,
    )
    log(report.artifacts(version.card))
    log(report.accepted(version.card))
    if version.card.are_digits:
        log(report.non_digits(version.card))
    if version.card.gate:
        log(report.gate(version.card.gate))
    _log_published(store, version, activated=arguments.activate)


def _run(arguments: Namespace) -> Run:
    path: Path | None = arguments.run
    if path is not None and path.is_file() and path.name != "latest":
        calibrate = "int8" in arguments.artifacts
        return run_of(path, arguments.data, arguments.runs, arguments.network, calibrate=calibrate)
    if arguments.data is not None:
        raise BadRun("--data is for a file of save_model: a run has its own test images")
    if arguments.network is not None:
        raise BadRun("--network is for a file of save_model: a run was trained here")
    return Run.named(path) if path else Run.latest(arguments.runs)


def _import(words: list[str]) -> None:
    arguments = import_parser(os.environ).parse_args(words)
    store = open_store(arguments.models, arguments.name, _trusted_keys())
    version = import_model(
        source_of(arguments),
        store,
        artifacts=arguments.artifacts,
        sign=_signer(arguments.signing_key),
        activate=arguments.activate,
    )
    card = version.card
    assert card.imported is not None
    log(report.artifacts(card))
    if card.evaluation:
        error = f"calibration error {card.evaluation.calibration_error:.2%}"
        log(f"Accuracy {card.evaluation.accuracy:.2%}, {error}")
    for title, sentences in (("Proven", card.imported.proven), ("Unknown", card.imported.unknown)):
        log("\n".join([f"{title}:", *(f"  {sentence}" for sentence in sentences)]))
    _log_published(store, version, activated=arguments.activate)
    serve = f"DIGITSERVE_MODEL={card.name}"
    if arguments.models == Path("models"):
        log(f"Serve it: {serve} make serve, or {serve} python -m service")
    else:
        log(f"Serve it: DIGITSERVE_MODELS={arguments.models} {serve} python -m service")


def _log_published(store: Store, version: Version, *, activated: bool) -> None:
    now = ", which is now the current version" if activated else ", not made current"
    log(f"Published {store.place}/{version.number}{now}")


def _trusted_keys() -> tuple[str, ...]:
    return keys_of(os.environ.get("DIGITSERVE_TRUSTED_KEYS"))


def _signer(key: Path | None) -> "Sign | None":
    if key is None:
        return None
    from contract import signature  # needs the package `cryptography`, which is optional

    return signature.signer(key)


if __name__ == "__main__":
    raise_at_interrupt()
    sys.exit(main())
