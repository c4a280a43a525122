"""Export a training run as a model version: python -m export [--run DIR] [--name NAME]

The artifacts are written and compared with PyTorch on the whole test set. Only if the predictions
agree are they published as the next version under models/<name>/, which becomes the current one.
The card is signed if there is a key: --signing-key FILE, or DIGITSERVE_SIGNING_KEY. As in the
service, DIGITSERVE_MODELS and DIGITSERVE_MODEL name the store and the model. If
DIGITSERVE_TRUSTED_KEYS is set, only a version that is signed with one of these keys becomes
current.

Exit codes: 0 success, 1 refused (nothing was published, unless the message states otherwise),
2 usage error, 130 stopped with Ctrl-C.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from contract import report
from contract.errors import NotConfirmed, StoreError
from contract.store import keys_of, open_store
from export.artifacts import ARTIFACTS, OPSET, OPSETS, BadGraph
from export.export import NotActivated, export, log
from export.proof import ProofFailed
from training.run import BadRun, Run

if TYPE_CHECKING:
    from contract.signature import Sign


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        run = Run.named(arguments.run) if arguments.run else Run.latest(arguments.runs)
        keys = keys_of(os.environ.get("DIGITSERVE_TRUSTED_KEYS"))
        version = export(
            run,
            open_store(arguments.models, arguments.name, keys),
            artifacts=arguments.artifacts,
            opset=arguments.opset,
            sign=_signer(arguments.signing_key),
            activate=arguments.activate,
        )
    except (BadRun, BadGraph, ProofFailed, StoreError, OSError) as error:
        print(f"export: {error}. Nothing was published.", file=sys.stderr)
        return 1
    except (NotActivated, NotConfirmed) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: stopped, nothing was published", file=sys.stderr)
        return 130
    log(report.artifacts(version.card))
    log(f"Accepted {report.accepted(version.card)}")
    now = ", which is now the current version" if arguments.activate else ", not made current"
    log(f"Published {version.folder}{now}")
    return 0


def _signer(key: Path | None) -> "Sign | None":
    if key is None:
        return None
    from contract import signature  # needs the package `cryptography`, which is optional

    return signature.signer(key)


def _artifacts(words: str) -> tuple[str, ...]:
    requested = [word.strip() for word in words.split(",")]
    for word in requested:
        if word not in ARTIFACTS:
            raise ArgumentTypeError(f"{word!r} is not an artifact: use {', '.join(ARTIFACTS)}")
    return tuple(name for name in ARTIFACTS if name in requested or name == "onnx")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m export", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    key = os.environ.get("DIGITSERVE_SIGNING_KEY")
    parser.add_argument("--run", type=Path, metavar="DIR", help="default: the latest run")
    parser.add_argument("--runs", type=Path, metavar="DIR", default=Path("runs"))
    models = Path(os.environ.get("DIGITSERVE_MODELS", "models"))
    name = os.environ.get("DIGITSERVE_MODEL", "digits")
    parser.add_argument("--models", type=Path, metavar="DIR", default=models)
    parser.add_argument("--name", default=name, help=f"name of the model; default: {name}")
    parser.add_argument(
        "--artifacts",
        type=_artifacts,
        metavar="A,B",
        default=tuple(ARTIFACTS),
        help=f"artifacts to write, of {','.join(ARTIFACTS)}; default: all; onnx always is",
    )
    parser.add_argument(
        "--opset",
        type=int,
        choices=OPSETS,
        metavar="N",
        default=OPSET,
        help=f"ONNX operator set, {OPSETS[0]} to {OPSETS[-1]}; default: {OPSET}",
    )
    parser.add_argument(
        "--signing-key",
        type=Path,
        metavar="FILE",
        default=None if key is None else Path(key),
        help="private key that signs the card; python -m contract keygen creates one",
    )
    parser.add_argument(
        "--no-activate",
        dest="activate",
        action="store_false",
        help="publish the version, but do not make it current",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
