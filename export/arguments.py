"""The command line of both exports: of a training run, and of a model that was trained elsewhere.

Defaults that the environment sets are passed in: only `__main__` reads it.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from contract.card import Interpolation
from contract.command_line import program
from contract.label import fault_of
from contract.location import location_of
from export.artifacts import ARTIFACTS, OPSET, OPSETS
from export.importing import IMPORTED
from export.onnx_wrapping import Scaling
from export.original import BadModel
from export.source import Kind, Source

IMPORT = """\
Import a model that was trained elsewhere as a model version:

    python -m export import model.onnx --name NAME --labels labels.txt
    python -m export import --torch my_module:build --weights file.pt --size 224 --name NAME ...

The model is wrapped with the layers that make it take pixels and return logits and probabilities.
It is published if it then returns what it returned before, for synthetic images and those of
--images.
"""


def run_parser(description: str, environment: Mapping[str, str]) -> ArgumentParser:
    parser = program("export", description)
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="default: the latest run; or a file that save_model wrote, with --data",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="data set or folder, on whose test images such a file is proven",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="my_module:build, which such a file may import and run if it was trained with it",
    )
    parser.add_argument("--runs", type=Path, metavar="DIR", default=Path("runs"))
    name = environment.get("DIGITSERVE_MODEL", "digits")
    parser.add_argument("--name", default=name, help=f"name of the model; default: {name}")
    _add_artifacts(parser, tuple(ARTIFACTS), tuple(ARTIFACTS))
    parser.add_argument(
        "--opset",
        type=int,
        choices=OPSETS,
        metavar="N",
        default=OPSET,
        help=f"ONNX operator set, {OPSETS[0]} to {OPSETS[-1]}; default: {OPSET}",
    )
    _add_publishing(parser, environment)
    parser.add_argument(
        "--judge",
        action="store_true",
        help="compare it with the current version on the same images; if it is worse, it does not "
        "become current",
    )
    parser.add_argument(
        "--job",
        metavar="ID",
        help="the retraining job that this is for, recorded on the card; a version that it has "
        "published already is not published again",
    )
    return parser


def import_parser(environment: Mapping[str, str]) -> ArgumentParser:
    parser = program("export import", IMPORT)
    parser.add_argument("file", nargs="?", type=Path, metavar="model.onnx")
    parser.add_argument("--torch", metavar="MODULE:CALLABLE", help="builds a torch.nn.Module")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="its state dict")
    parser.add_argument("--name", required=True, help="name of the model in the store")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", required=True, help="one label per line"
    )
    parser.add_argument(
        "--scale",
        type=_number,
        metavar="S",
        help="pixels 0..255 are multiplied by it; default: 1/255",
    )
    parser.add_argument(
        "--mean", type=_numbers, metavar="A,B,C", help="subtracted from the scaled pixels"
    )
    parser.add_argument(
        "--std", type=_numbers, metavar="A,B,C", help="by which they are then divided"
    )
    returns = parser.add_mutually_exclusive_group()
    for kind in ("logits", "probabilities"):
        returns.add_argument(
            f"--{kind}",
            dest="returns",
            action="store_const",
            const=kind,
            help=f"the model returns {kind}; default: found out",
        )
    parser.add_argument(
        "--preparation",
        choices=get_args(Kind),
        help="how any image gets the model's size; default: photo, or digit for labels 0 to 9",
    )
    parser.add_argument(
        "--resize",
        type=int,
        metavar="N",
        help="pixels of a photo's shorter side, before its middle is cut out; default: 8/7 of it",
    )
    parser.add_argument(
        "--size", type=_size, metavar="N", help="224, or height x width: 224x160; default: the file"
    )
    parser.add_argument("--gray", action="store_true", help="images without colours")
    parser.add_argument("--interpolation", choices=get_args(Interpolation), default="bilinear")
    parser.add_argument(
        "--images",
        "--pictures",
        metavar="FOLDER",
        help="labelled images to measure it on: a folder for each label, or a data set",
    )
    _add_artifacts(parser, IMPORTED, ("onnx",))
    _add_publishing(parser, environment)
    return parser


def source_of(arguments: Namespace) -> Source:
    """The source that the arguments describe; BadModel if they contradict each other."""
    is_torch = arguments.torch is not None or arguments.weights is not None
    if is_torch == (arguments.file is not None) or (arguments.torch is None) != (
        arguments.weights is None
    ):
        raise BadModel("name either an ONNX file, or a network with --torch and --weights")
    return Source(
        file=arguments.weights or arguments.file,
        labels=read_labels(arguments.labels),
        builder=arguments.torch,
        scaling=_scaling(arguments),
        returns=arguments.returns,
        preparation=arguments.preparation,
        resize=arguments.resize,
        interpolation=arguments.interpolation,
        size=arguments.size,
        gray=arguments.gray,
        images=arguments.images,
    )


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a file; BadModel unless they are two or more different ones."""
    try:
        lines = path.read_text("utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise BadModel(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadModel(f"{path} is not UTF-8 text: {error}") from error
    labels = [line.strip() for line in lines]
    if "" in labels:
        raise BadModel(f"{path}: line {labels.index('') + 1} is empty; write one label per line")
    first: dict[str, int] = {}
    for number, label in enumerate(labels, 1):
        if fault := fault_of(label):
            raise BadModel(f"{path}: line {number} cannot be a label: it {fault}")
        if first.setdefault(label, number) != number:
            raise BadModel(f"{path}: lines {first[label]} and {number} are both {label!r}")
    if len(labels) < 2:
        raise BadModel(f"{path} has {len(labels)} labels; a classifier has two or more")
    return tuple(labels)


def _scaling(arguments: Namespace) -> Scaling:
    divisor = 255.0 if arguments.scale is None else 1 / arguments.scale
    mean, std = arguments.mean or (0.0,), arguments.std or (1.0,)
    if min(std) <= 0:
        raise BadModel("--std must be above 0")
    if max(map(abs, mean)) > 255 / divisor:
        raise BadModel(
            f"--mean {max(map(abs, mean)):g} is larger than all scaled pixels, 0 to "
            f"{255 / divisor:g}: for means of 0..255, add --scale 1"
        )
    return Scaling(divisor, mean, std)


def _add_artifacts(
    parser: ArgumentParser, known: tuple[str, ...], default: tuple[str, ...]
) -> None:
    def artifacts(words: str) -> tuple[str, ...]:
        requested = [word.strip() for word in words.split(",")]
        for word in requested:
            if word not in known:
                raise ArgumentTypeError(f"{word!r} is not an artifact: use {', '.join(known)}")
        return tuple(name for name in known if name in requested or name == "onnx")

    which = "all" if default == known else ",".join(default)
    parser.add_argument(
        "--artifacts",
        type=artifacts,
        metavar="A,B",
        default=default,
        help=f"artifacts to write, of {','.join(known)}; default: {which}; onnx always is",
    )


def _add_publishing(parser: ArgumentParser, environment: Mapping[str, str]) -> None:
    parser.add_argument(
        "--models",
        type=location_of,
        metavar="STORE",
        default=environment.get("DIGITSERVE_MODELS") or "models",
        help="a folder, or s3://bucket/prefix (also gs://, az://); default: DIGITSERVE_MODELS",
    )
    key = environment.get("DIGITSERVE_SIGNING_KEY")
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


def _number(word: str) -> float:
    """A number or a fraction: 1/255."""
    above, _, below = word.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError) as error:
        raise ArgumentTypeError(f"{word!r} is not a number") from error
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{word!r} is not a number above 0")
    return value


def _numbers(words: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in words.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"{words!r} is not a list of numbers: 0.485,0.456,0.406") from error


def _size(words: str) -> tuple[int, int]:
    sides = words.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(each.isdecimal() and int(each) > 0 for each in sides):
        raise ArgumentTypeError(f"{words!r} is not a size: 224, or height x width: 224x160")
    return int(sides[0]), int(sides[-1])
