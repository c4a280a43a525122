"""Is it sure of what is no digit? Classify images that are not one digit.

    python -m tools.non_digits [FOLDER ...] [--side 28] [--at-most 0.03]

Draws letters, scribbles, textures, several digits and pieces of digits, other ones than those that
networks are trained on, and reads the images in each FOLDER, at any depth. Prints how many the
current version of the model is sure of: their confidence is at least the card's threshold. Of the
test digits it prints how many are uncertain. Without HTTP and without a service.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contract.card import INPUT, ONNX, PROBABILITIES
from contract.command_line import CommandLine, program
from contract.errors import StoreError
from contract.store import Store
from contract.version import Version
from loadtest.arguments import fraction, whole_number
from preprocessing.decoder import NotAnImage, TooManyPixels, decode
from preprocessing.digits.normalize import Blank
from preprocessing.preparation import Pixels, Preparer, preparer_of
from training.data import find_data_set
from training.idx import BadData
from training.image import TEN_DIGITS
from training.listing import Part
from training.non_digits import KINDS, draw_non_digits
from training.own import images_in
from training.settings import mnist_dir

MAX_PIXELS = 10**8
BATCH = 64


class Row(NamedTuple):
    kind: str
    images: int
    unread: int  # blank, or no images at all: they get no answer
    sure: int

    def __str__(self) -> str:
        share = self.sure / self.images if self.images else 0.0
        return f"{self.kind:24}  {self.images:6,}  {self.unread:6,}  {self.sure:6,}  {share:8.2%}"


HEAD = f"{'images of':24}  {'images':>6}  {'unread':>6}  {'sure':>6}  {'share':>8}"


def main(words: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        version = Store(arguments.models, arguments.name).open()
        if version.card.labels != TEN_DIGITS or version.card.preparation.kind != "digit":
            raise ValueError(f"{arguments.name} {version.number} is not a model of the ten digits")
        digits = find_data_set(arguments.data, mnist_dir=mnist_dir()).test
        rows = list(_rows(version, digits, arguments))
    except (StoreError, BadData, OSError, ValueError) as error:
        print(f"python -m tools.non_digits: {error}", file=sys.stderr)
        return 2
    threshold = version.card.threshold
    print(f"{arguments.name} {version.number}: sure is a confidence of {threshold:.4f} or more\n")
    total = Row("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))
    print("\n".join([HEAD, *map(str, rows), str(total)]))
    refused = float((_confidence(version, digits[0]) < threshold).mean())
    print(f"\n{refused:.2%} of the {len(digits[0]):,} test digits are uncertain")
    return int(total.sure > arguments.at_most * total.images)


def _parser() -> CommandLine:
    parser = program("tools.non_digits", __doc__)
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--name", default="digits", help="of the model; default: digits")
    parser.add_argument("--data", help="the digits to cut and combine; default: mnist, or digits")
    count, seed = whole_number(1), whole_number(0)
    add = parser.add_argument
    add("--count", type=count, default=2000, metavar="N", help="images to draw; default: 2000")
    add("--seed", type=seed, default=1, metavar="N", help="of the drawn images; default: 1")
    side = "scale the images of each FOLDER to so many pixels a side first"
    add("--side", type=count, metavar="PIXELS", help=side)
    share = "share of which the model may be sure, such as 3%%; default: 100%%"
    add("--at-most", type=fraction, default=1.0, metavar="SHARE", help=share)
    return parser


def _rows(version: Version, digits: Part, arguments: Namespace) -> Iterator[Row]:
    """A row for each kind of drawn images, and one for each folder."""
    drawn = draw_non_digits(arguments.count, "test", digits, arguments.seed)
    sure = _confidence(version, drawn.pixels) >= version.card.threshold
    for kind in KINDS:
        of_kind = np.array(drawn.kinds) == kind
        yield Row(kind, int(of_kind.sum()), 0, int(sure[of_kind].sum()))
    prepare = preparer_of(version.card.preparation, version.card.shape)
    for folder in arguments.folders:
        files = images_in(folder)
        if not files:
            raise ValueError(f"{folder} has no images")
        found = [_prepared(file, prepare, arguments.side) for file in files]
        pixels = [each for each in found if each is not None]
        accepted = 0
        if pixels:
            accepted = int((_confidence(version, np.stack(pixels)) >= version.card.threshold).sum())
        yield Row(folder.name, len(found), len(found) - len(pixels), accepted)


def _prepared(file: Path, prepare: Preparer, side: int | None) -> Pixels | None:
    """As the service prepares the image; None if it is refused."""
    try:
        raster = decode(file.read_bytes(), max_pixels=MAX_PIXELS, reduction=prepare.reduction)
        if side is not None:
            raster = np.asarray(cv2.resize(raster, (side, side), interpolation=cv2.INTER_AREA))
        return prepare(raster)
    except (Blank, NotAnImage, TooManyPixels):
        return None


def _confidence(version: Version, pixels: Pixels) -> NDArray[np.float32]:
    """Of the predictions for pixels (n, 28, 28)."""
    session = ort.InferenceSession(version.folder / ONNX, providers=["CPUExecutionProvider"])
    parts = (pixels[at : at + BATCH] for at in range(0, len(pixels), BATCH))
    rows = [session.run([PROBABILITIES], {INPUT: part})[0].max(1) for part in parts]
    confidence: NDArray[np.float32] = np.concatenate(rows)
    return confidence


if __name__ == "__main__":
    sys.exit(main())
