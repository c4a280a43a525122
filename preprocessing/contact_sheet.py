"""Show what the network sees: python -m preprocessing.contact_sheet FILES --out sheet.png

Every image is shown next to its prepared pixels: those of a digit, or with --card what the model of
that card.json sees. Look at this first when an image is misclassified.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.card import BadCard, DigitPreparation
from contract.command_line import program
from preprocessing.decoder import NotAnImage, Raster, TooManyPixels, decode
from preprocessing.digits.normalize import Blank, InkMode
from preprocessing.preparation import Pixels, Preparer, preparer_for, preparer_of

Colours = NDArray[np.uint8]  # (h, w, 3) BGR

SIDE = 112  # pixels of each of the two images: 28 times 4
CAPTION = 18  # pixels
GAP = 4  # pixels
MAX_PIXELS = 10**8
GROUND, TEXT, CANVAS = (96, 96, 96), (255, 255, 255), (200, 230, 200)  # transparent: pale green


def main(words: Sequence[str] | None = None) -> int:
    parser = program("preprocessing.contact_sheet", __doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    parser.add_argument("--card", type=Path, metavar="card.json", help="default: a digit's")
    parser.add_argument("--columns", type=int, default=6, help="images per row; default: 6")
    ink = get_args(InkMode)
    parser.add_argument("--ink", choices=ink, default="auto", help="for digits; default: auto")
    arguments = parser.parse_args(words)
    prepare = preparer_of(DigitPreparation(), (28, 28))
    if arguments.card:
        try:
            prepare = preparer_for(arguments.card.read_bytes())
        except (OSError, BadCard) as error:
            parser.error(f"{arguments.card} is not a model card: {error}")
    captions = {file: file.name for file in arguments.files}
    sheet = draw_sheet(captions, prepare, arguments.ink, max(1, arguments.columns))
    if not cv2.imwrite(str(arguments.out), sheet):
        parser.error(f"{arguments.out} cannot be written")
    return 0


def draw_sheet(
    captions: Mapping[Path, str], prepare: Preparer, ink: InkMode = "auto", columns: int = 6
) -> Colours:
    """Each of these files, of which there is one at least, beside what the network sees."""
    return _in_rows([_tile(file, text, prepare, ink) for file, text in captions.items()], columns)


def _tile(file: Path, caption: str, prepare: Preparer, ink: InkMode) -> Colours:
    """An image, its prepared pixels and its caption."""
    tile: Colours = np.full((SIDE + CAPTION + GAP, 2 * (SIDE + GAP), 3), GROUND, np.uint8)
    try:
        raster = decode(file.read_bytes(), max_pixels=MAX_PIXELS, reduction=prepare.reduction)
        _put(tile, _seen(raster), 0)
        _put(tile, _in_bgr(prepare(raster, ink)), SIDE + GAP // 2)
    except (OSError, NotAnImage, TooManyPixels) as error:
        caption = f"{caption}: {error}"
    except Blank:
        caption = f"{caption} (blank)"
    at = 2, SIDE + CAPTION - 5
    cv2.putText(tile, caption, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, TEXT, 1, cv2.LINE_AA)
    return tile


def _in_bgr(pixels: Pixels) -> Colours:
    code = cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _seen(raster: Raster) -> Colours:
    """The image in colours, transparent pixels on pale green."""
    if raster.ndim == 2:
        return np.asarray(cv2.cvtColor(raster, cv2.COLOR_GRAY2BGR), np.uint8)
    if raster.shape[2] == 3:
        return raster
    alpha = raster[..., 3:].astype(np.float32) / 255
    under = np.array(CANVAS, np.float32) * (1 - alpha)
    return np.asarray(raster[..., :3] * alpha + under, np.uint8)


def _put(tile: Colours, picture: Any, left: int) -> None:
    """Draw into a square of the tile, as large as it fits. Enlarged pixels stay square."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    tile[: size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=how)


def _in_rows(tiles: list[Colours], columns: int) -> Colours:
    columns = min(columns, len(tiles))
    empty = np.full_like(tiles[0], GROUND[0])
    tiles = tiles + [empty] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[at : at + columns], 1) for at in range(0, len(tiles), columns)]
    return np.concatenate(rows)


if __name__ == "__main__":
    sys.exit(main())
