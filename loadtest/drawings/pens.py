"""Digits as people hand them in: MNIST's shapes drawn anew, with other pens, on other sheets.

    digit (28, 28) --Lines, slant, place--> coverage --pen, paper, light, grain--> Raster, Drawing

Nothing of MNIST's look is kept but where its lines went. Varied on purpose, and never made easy: a
person must be able to read the image, that is all.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from loadtest.drawings import papers
from loadtest.drawings.strokes import Lines

Raster = NDArray[np.uint8]  # (h, w) gray, (h, w, 3) BGR or (h, w, 4) BGRA

# The pen's width as a share of the digit's longest side; MNIST's pens are 0.10 to 0.23.
PENS = {
    "hairline": (0.012, 0.025),
    "ball pen": (0.03, 0.06),
    "felt pen": (0.07, 0.14),
    "marker": (0.15, 0.22),
    "pencil": (0.04, 0.09),
    "mouse": (0.02, 0.08),
}
PAPERS = (
    "white", "black", "coloured", "equally light", "noisy", "gradient", "shadow", "lined",
    "squared", "transparent",
)  # fmt: skip
# The sheet's longer side in pixels, and how much of the shorter one the digit takes.
SHEETS = {
    "bitmap": ((16, 24), (0.75, 1.0)),
    "small": ((28, 90), (0.5, 0.95)),
    "canvas": ((100, 400), (0.3, 0.95)),
    "large": ((400, 1500), (0.2, 0.9)),
}
FINEST = 1.0  # pixels; no pen draws less
PHOTOS = ("noisy", "gradient", "shadow", "lined", "squared")  # these may come as JPEG


class Drawing(NamedTuple):
    """An image, and how it came about."""

    raster: Raster
    pen: str
    paper: str
    sheet: str
    place: str  # "anywhere" or "corner"

    @property
    def kinds(self) -> dict[str, str]:
        return {"pen": self.pen, "paper": self.paper, "sheet": self.sheet, "place": self.place}


def drawn(digit: NDArray[np.uint8], generator: np.random.Generator) -> Drawing:
    """A digit (28, 28) of MNIST with a pen, on a sheet and at a place of the generator's choice."""
    pen = str(generator.choice(list(PENS)))
    paper = str(generator.choice(PAPERS))
    kind = str(generator.choice(list(SHEETS), p=[0.1, 0.2, 0.4, 0.3]))
    place = str(generator.choice(["anywhere", "corner"], p=[0.75, 0.25]))
    lines = _written(Lines.of(digit), pen, kind, generator)
    size = _size(generator, kind)
    covered = _placed(lines, pen, kind, place, size, generator)
    if pen == "pencil":
        covered *= _graphite(generator, size)
    if paper == "transparent":
        raster = _transparent(generator, covered)
    else:
        raster = _on_paper(generator, paper, covered)
    return Drawing(raster, pen, paper, kind, place)


def _written(lines: Lines, pen: str, kind: str, generator: np.random.Generator) -> Lines:
    """By another hand: slanted, stretched, shaking, or with a mouse."""
    lines = lines.leaning(generator.uniform(-0.15, 0.15), generator.uniform(0.9, 1.1))
    if pen == "mouse" and kind != "bitmap":
        return lines.wobbling(generator, 0.012).in_steps(generator.uniform(0.02, 0.05))
    return lines.wobbling(generator, generator.uniform(0, 0.008))


def _size(generator: np.random.Generator, kind: str) -> tuple[int, int]:
    """Height and width of the sheet in pixels, the shorter at least 0.6 of the longer."""
    low, high = SHEETS[kind][0]
    longer = np.exp(generator.uniform(np.log(low), np.log(high)))
    shorter = longer * (1 if generator.random() < 0.5 else generator.uniform(0.6, 1))
    sides = [max(low, round(longer)), max(low, round(shorter))]
    generator.shuffle(sides)
    return sides[0], sides[1]


def _placed(
    lines: Lines,
    pen: str,
    kind: str,
    place: str,
    size: tuple[int, int],
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Coverage (h, w). In a corner the ink touches two edges of the sheet."""
    share = generator.uniform(*SHEETS[kind][1])
    across = min(size) * share  # pixels, ink and all
    width = max(FINEST, across * generator.uniform(*PENS[pen]))
    length = max(4.0, across - width)
    room = np.array(size[::-1]) - lines.size * length - width  # x and y
    part = generator.uniform(0, 1, 2)
    if place == "corner":
        part = part.round()
    return lines.coverage(size, part * np.maximum(room, 0) + width / 2, length, width)


def _graphite(generator: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """How much of the pencil sticks to the grain of the paper, (h, w)."""
    grain = generator.uniform(0.35, 1.0, size).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grain, (3, 3), 0), np.float32)


def _transparent(generator: np.random.Generator, covered: NDArray[np.float32]) -> Raster:
    """Ink of one colour, all of the drawing in alpha, as web canvases are saved."""
    pens = np.array([[0, 0, 0], [255, 255, 255], [200, 60, 30], [30, 30, 220]], np.uint8)
    raster = np.zeros((*covered.shape, 4), np.uint8)
    raster[..., :3] = pens[generator.integers(len(pens))]
    raster[..., 3] = np.round(covered * 255)
    raster[raster[..., 3] == 0] = 0
    return raster


def _on_paper(generator: np.random.Generator, paper: str, covered: NDArray[np.float32]) -> Raster:
    size = (covered.shape[0], covered.shape[1])
    under, ink = papers.colours(generator, paper)
    part = covered[..., np.newaxis]
    seen = papers.sheet(generator, paper, size, under)
    seen = seen + part * (ink - seen)
    seen = seen * papers.light(generator, paper, size) + papers.grain(generator, paper, size)
    raster = np.clip(np.round(seen), 0, 255).astype(np.uint8)  # (h, w, 3)
    gray = np.ptp(raster, axis=2).max() == 0
    return np.ascontiguousarray(raster[..., 0]) if gray else raster
