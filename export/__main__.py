"""Turn a training run into a model version: python -m export [--run DIR] [--name NAME]

Writes the artifacts, proves on the whole test set that each answers as PyTorch does, and only then
publishes them as the next version under models/<name>/ and makes it the current one. Signs the
version's card if there is a key: --signing-key FILE, or DIGITSERVE_SIGNING_KEY.

Exit codes: 0 published and current, 1 refused (nothing was published, unless it says so), 2 the
command was not understood.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import StoreError
from contract.store import Store
from contract.tables import microseconds, percent, size, table
from contract.version import Version
from export.artifacts import ARTIFACTS, OPSET, OPSETS, BadGraph
from export.export import NotActivated, export, say
from export.proof import ProofFailed
from training.run import BadRun, Run

if TYPE_CHECKING:
    from contract.signature import Sign


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        run = Run(arguments.run) if arguments.run else Run.latest(arguments.runs)
        version = export(
            run,
            Store(arguments.models, arguments.name),
            artifacts=arguments.artifacts,
            opset=arguments.opset,
            sign=_signer(arguments.signing_key),
            activate=arguments.activate,
        )
    except (BadRun, BadGraph, ProofFailed, StoreError, OSError) as error:
        print(f"export: {error}. Nothing was published.", file=sys.stderr)
        return 1
    except NotActivated as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: stopped, nothing was published", file=sys.stderr)
        return 130
    _report(version)
    now = ", which is now the current version" if arguments.activate else ", not made current"
    say(f"Published {version.folder}{now}")
    return 0


def _report(version: Version) -> None:
    card = version.card
    head = ["", "size", "right", "other answers", "largest difference", "1 a call", "64 a call"]
    rows = [
        [
            name,
            size(card.files[name].size),
            percent(parity.accuracy),
            f"{parity.different_answers}",
            f"{parity.largest_difference:.1e}",
            microseconds(parity.seconds_1),
            microseconds(parity.seconds_64),
        ]
        for name, parity in card.parity.items()
    ]
    say(table(head, rows))
    for name, reason in card.left_out.items():
        say(f"{name} is left out: {reason}")


def _signer(key: Path | None) -> "Sign | None":
    if key is None:
        return None
    from contract import signature  # needs the package `cryptography`, which nobody else does

    return signature.signer(key)


def _artifacts(words: str) -> tuple[str, ...]:
    asked = [word.strip() for word in words.split(",")]
    for word in asked:
        if word not in ARTIFACTS:
            raise ArgumentTypeError(f"{word!r} is no artifact; there are {', '.join(ARTIFACTS)}")
    return tuple(name for name in ARTIFACTS if name in asked or name == "onnx")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m export", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    key = os.environ.get("DIGITSERVE_SIGNING_KEY")
    parser.add_argument("--run", type=Path, metavar="DIR", help="default: the one in runs/latest")
    parser.add_argument("--runs", type=Path, metavar="DIR", default=Path("runs"))
    parser.add_argument("--models", type=Path, metavar="DIR", default=Path("models"))
    parser.add_argument("--name", default="digits", help="of the model; default: digits")
    parser.add_argument(
        "--artifacts",
        type=_artifacts,
        metavar="A,B",
        default=tuple(ARTIFACTS),
        help=f"which to make, of {','.join(ARTIFACTS)}; default: all; onnx is always made",
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
        default=Path(key) if key else None,
        help="private key that signs the card; python -m contract keygen makes one",
    )
    parser.add_argument(
        "--no-activate",
        dest="activate",
        action="store_false",
        help="publish the version without making it current",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
