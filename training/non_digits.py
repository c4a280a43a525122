"""Images that are not one digit, of which a network should not be confident.

    letter, scribble, texture, several digits, piece of a digit
        --ink (h, w)--> preprocessing.digits --> (28, 28) uint8, 0 = paper, 255 = ink

A network that has only seen digits reads a letter or a scribble as one of them, with a confidence
of 99 %. Trained to give such images equal probabilities for all classes (outlier exposure,
Hendrycks et al., arXiv 1812.04606), it becomes unsure of others that it has never seen. The images
to train on, those that choose the threshold and those that measure it have different fonts,
skeletons, digits and seeds.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from preprocessing.digits.normalize import center
from preprocessing.digits.segmentation import crop_digit
from preprocessing.digits.stroke import normalize_stroke
from training.letters import Use, printed, written
from training.listing import Part
from training.shapes import SHAPES, Ink

MOST = 8000  # images to train on
REPEATS = 6  # times that each of them is shown, if that takes fewer
HELD_OUT = 1000  # images that choose the threshold, and as many that measure it
SEEDS: dict[Use, int] = {"training": 0, "validation": 1, "test": 2}

MARGIN = 4  # pixels of paper
SLENDER = 1  # on top of another digit it may hardly be seen
# The sides of a digit that do not look like another digit.
SIDES = {0: ("top", "bottom"), 2: ("bottom",), 3: ("left",), 4: ("left", "top"),
         5: ("top", "bottom", "left", "right"), 6: ("right",), 8: ("left",)}  # fmt: skip
PIECE = 0.35, 0.5  # smallest and largest share of a digit's height or width

Random = np.random.Generator


class NonDigits(NamedTuple):
    pixels: NDArray[np.uint8]  # (n, 28, 28)
    kinds: list[str]  # of KINDS, n


def pool_size(shown: int) -> int:
    """How many images to draw for a training that shows `shown` of them."""
    return min(MOST, max(1, shown // REPEATS))


def draw_non_digits(count: int, use: Use, digits: Part, seed: int = 0) -> NonDigits:
    """`count` images, always the same for the same arguments.

    Some are made of `digits`: pixels (n, 28, 28) and labels (n,), both of digits of that use.
    """
    random = np.random.default_rng([SEEDS[use], seed])
    names, shares = list(KINDS), [share for share, _ in KINDS.values()]
    pixels, kinds = np.empty((count, SIDE, SIDE), np.uint8), list[str]()
    while len(kinds) < count:
        kind = names[random.choice(len(names), p=shares)]
        image = _prepared(KINDS[kind][1](random, use, digits))
        if image is not None:
            pixels[len(kinds)] = image
            kinds.append(kind)
    return NonDigits(pixels, kinds)


def _prepared(ink: Ink) -> Ink | None:
    """The ink as the service prepares it; None if nothing is left of it."""
    found = crop_digit(np.pad(ink, MARGIN))
    return None if found is None else center(normalize_stroke(found))


def _shape(random: Random, use: Use, digits: Part) -> Ink:
    return SHAPES[int(random.integers(len(SHAPES)))](random)


def _several(random: Random, use: Use, digits: Part) -> Ink:
    """Two or three digits in a row, two below each other, or two on top of each other."""
    pixels, labels = digits
    arrangement = random.random()
    if arrangement < 0.35:
        first, second = random.integers(len(labels), size=2)
        if labels[first] != labels[second] and SLENDER not in (labels[first], labels[second]):
            shift = random.integers(-5, 6, 2).tolist()
            return _enlarged(np.maximum(pixels[first], np.roll(pixels[second], shift, (0, 1))))
    count = int(random.integers(2, 4))
    crops = [_crop(image) for image in pixels[random.integers(len(pixels), size=count)]]
    if arrangement < 0.5:
        return _enlarged(_column(crops[:2], random))
    return _enlarged(_column([crop.T for crop in crops], random).T)


def _column(crops: list[Ink], random: Random) -> Ink:
    """One below the other, with gaps and shifts of a few pixels."""
    width = max(crop.shape[1] for crop in crops)
    rows = []
    for crop in crops:
        left = int(random.integers(0, width - crop.shape[1] + 1))
        right = width - crop.shape[1] - left
        rows.append(np.pad(crop, ((0, int(random.integers(0, 4))), (left, right))))
    return np.concatenate(rows)


def _piece(random: Random, use: Use, digits: Part) -> Ink:
    """Less than half of a digit."""
    of_digits = np.flatnonzero(np.isin(digits[1], list(SIDES)))
    if not len(of_digits):
        return _shape(random, use, digits)
    index = of_digits[int(random.integers(len(of_digits)))]
    digit, sides = _crop(digits[0][index]), SIDES[int(digits[1][index])]
    height, width = digit.shape
    share = random.uniform(*PIECE)
    rows, columns = max(3, round(height * share)), max(3, round(width * share))
    match sides[int(random.integers(len(sides)))]:
        case "top":
            piece = digit[:rows]
        case "bottom":
            piece = digit[-rows:]
        case "left":
            piece = digit[:, :columns]
        case _:
            piece = digit[:, -columns:]
    return _enlarged(piece)


def _crop(image: Ink) -> Ink:
    left, top, width, height = cv2.boundingRect(image)
    return image[top : top + height, left : left + width]


def _enlarged(ink: Ink) -> Ink:
    """Twice as large, so that strokes are as wide as in larger images."""
    return np.asarray(cv2.resize(ink, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.uint8)


# kind: its share, and how it is drawn
KINDS: dict[str, tuple[float, Callable[[Random, Use, Part], Ink]]] = {
    "printed letters": (0.3, lambda random, use, _: printed(random, use)),
    "written letters": (0.25, lambda random, use, _: written(random, use)),
    "shapes and textures": (0.25, _shape),
    "several digits": (0.1, _several),
    "pieces of digits": (0.1, _piece),
}
