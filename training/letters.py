"""Letters and signs: printed in matplotlib's fonts, or written by a simulated pen.

Fonts and skeletons of the letters to train on, of those that choose a threshold and of those that
measure it are all different. Letters that are written like a digit are left out: O and 0, I and 1,
Z and 2, S and 5, b and 6, B and 8, g and 9.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from matplotlib import get_data_path
from PIL import ImageFont

from training.shapes import Ink, curve_through, drawn

Use = Literal["training", "validation", "test"]

LETTERS = "ACEFGHJKLMNPQRTUVWXYadefhjkmnprtuvwxy"
SIGNS = "&@#%?$*+=<>{}~^√∞∑πΩλδФЖЩ"
SIGN_SHARE = 0.15  # of printed characters
FONTS: dict[Use, tuple[str, ...]] = {
    "training": (
        "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif",
        "DejaVuSerif-Italic", "DejaVuSansMono", "cmtt10",
    ),
    "validation": ("cmr10", "cmss10"),
    "test": ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "cmmi10"),
}  # fmt: skip
FONT_SIZE = 48  # pixels
WOBBLE = 0.045  # of the unit square, standard deviation of each point of a skeleton
NARROW = 0.5, 1.0  # its smallest and largest width, relative to its height
# The largest changes of a letter.
TURN, SHEAR, STRETCH = 15.0, 0.25, 0.3  # degrees, pixels per pixel, fraction
BEND, CELLS = 0.08, 4  # of the longer side; points each way that are moved

# letter: two ways to write it, as strokes of points "x,y" in hundredths of a box, y down. The first
# way is trained on. Of the second ways, every other one is for validation, the rest for testing.
SKELETONS = {
    "A": ("5,100 50,0 / 50,0 95,100 / 22,62 78,62", "5,100 20,30 50,0 80,30 95,100 / 15,60 85,60"),
    "C": ("90,15 50,0 10,30 8,70 45,100 92,85", "85,8 40,5 15,50 40,95 88,92"),
    "E": ("85,3 12,3 / 12,3 12,97 / 12,97 88,97 / 12,50 70,50",
          "85,10 40,2 20,25 50,46 / 50,46 12,70 40,98 90,88"),
    "F": ("12,0 12,100 / 12,3 88,3 / 12,48 70,48", "90,5 30,5 / 32,5 20,100 / 25,50 75,46"),
    "G": ("88,15 50,0 10,35 12,75 50,100 88,85 / 88,85 88,55 / 88,55 55,55",
          "80,10 30,10 10,60 45,98 85,80 85,58 / 60,58 98,56 / 88,58 84,100"),
    "H": ("12,0 12,100 / 88,0 88,100 / 12,50 88,50", "20,0 10,100 / 90,0 80,100 / 14,52 86,46"),
    "K": ("12,0 12,100 / 88,0 12,52 / 35,42 90,100",
          "18,0 14,100 / 85,8 30,50 / 30,50 60,60 95,98"),
    "L": ("15,0 15,97 / 15,97 85,97", "30,0 22,60 15,95 / 15,95 50,90 92,98"),
    "M": ("8,100 12,0 / 12,0 50,70 / 50,70 88,0 / 88,0 92,100",
          "5,100 20,5 45,60 / 45,60 75,2 95,100"),
    "N": ("12,100 12,0 / 12,0 88,100 / 88,100 88,0", "8,98 20,5 / 20,5 75,95 / 75,95 95,2"),
    "P": ("12,100 12,0 / 12,3 80,8 85,40 12,52", "25,100 30,5 / 5,15 60,0 90,25 60,50 28,48"),
    "R": ("12,100 12,0 / 12,3 80,8 85,38 12,50 / 45,50 90,100",
          "22,100 25,5 / 8,12 70,2 85,28 30,48 / 30,48 60,70 98,98"),
    "T": ("5,3 95,3 / 50,3 50,100", "8,12 50,5 95,10 / 55,8 48,60 40,100"),
    "U": ("12,0 12,70 50,100 88,70 88,0", "10,5 15,80 55,95 85,50 / 85,2 85,80 98,98"),
    "V": ("5,0 50,100 / 50,100 95,0", "8,5 30,50 48,98 / 48,98 65,40 95,2"),
    "W": ("3,0 25,100 / 25,100 50,30 / 50,30 75,100 / 75,100 97,0",
          "5,5 15,90 45,85 50,25 / 50,25 55,90 85,85 95,0"),
    "X": ("8,0 92,100 / 92,0 8,100", "10,5 40,30 60,75 95,95 / 90,2 55,45 10,98"),
    "Y": ("8,0 50,50 / 92,0 50,50 / 50,50 50,100", "10,5 30,48 55,50 / 90,0 60,50 40,100"),
    "a": ("85,30 50,20 12,55 40,98 82,65 / 85,22 85,85 98,98",
          "20,25 60,8 80,35 80,98 / 80,50 25,55 20,90 60,95 80,75"),
    "d": ("80,60 45,45 12,72 40,100 80,80 / 82,0 82,100",
          "75,55 30,50 15,85 55,98 80,65 85,5 80,80 98,98"),
    "e": ("12,55 88,50 / 88,50 70,12 25,20 12,60 45,98 90,82",
          "15,60 60,55 80,25 45,5 20,50 40,95 90,80"),
    "f": ("80,8 50,5 45,40 45,100 / 20,45 75,45", "85,15 60,0 45,30 35,100 / 10,50 80,40"),
    "h": ("15,0 15,100 / 15,60 50,42 82,60 82,100", "25,2 15,100 / 18,70 60,40 70,98 95,95"),
    "k": ("15,0 15,100 / 75,42 18,72 / 38,65 80,100",
          "25,0 15,98 / 20,65 70,45 60,62 25,66 / 25,66 85,98"),
    "m": ("8,20 8,98 / 8,40 30,22 48,45 48,98 / 48,40 70,22 92,45 92,98",
          "5,25 15,95 / 15,60 35,20 45,95 / 45,60 70,20 80,90 98,95"),
    "n": ("15,20 15,98 / 15,45 50,20 85,45 85,98", "8,25 20,98 / 20,60 60,15 75,90 98,92"),
    "p": ("15,20 15,120 / 15,30 60,20 80,50 55,80 15,70",
          "22,20 10,120 / 5,30 65,18 82,50 50,85 18,75"),
    "r": ("15,20 15,100 / 15,50 40,22 80,28", "10,30 25,25 22,100 / 22,55 55,20 90,35"),
    "t": ("45,0 45,80 60,98 80,90 / 18,28 78,28", "50,5 40,85 75,95 / 10,40 85,32"),
    "u": ("12,20 15,80 50,98 82,70 / 84,20 84,98",
          "5,25 18,30 20,85 60,90 78,25 / 78,25 80,90 98,92"),
    "w": ("5,20 25,98 / 25,98 50,35 / 50,35 75,98 / 75,98 95,20",
          "5,25 15,92 48,85 50,35 / 50,35 60,95 88,80 92,22"),
    "x": ("12,20 88,98 / 88,20 12,98", "8,30 35,30 60,90 95,92 / 88,22 50,60 12,98"),
}  # fmt: skip
_FIRST, _SECOND = zip(*SKELETONS.values(), strict=True)
WAYS: dict[Use, tuple[str, ...]] = {
    "training": _FIRST,
    "validation": _SECOND[::2],
    "test": _SECOND[1::2],
}


def printed(random: np.random.Generator, use: Use) -> Ink:
    """A letter or a sign in one of the fonts, distorted."""
    name = FONTS[use][int(random.integers(len(FONTS[use])))]
    glyphs = _glyphs(name, SIGNS if random.random() < SIGN_SHARE else LETTERS)
    return _skewed(glyphs[int(random.integers(len(glyphs)))], random)


def written(random: np.random.Generator, use: Use) -> Ink:
    """A letter that a pen writes along one of the skeletons, distorted."""
    way = WAYS[use][int(random.integers(len(WAYS[use])))]
    width = random.uniform(*NARROW)
    strokes = [
        np.array([point.split(",") for point in stroke.split()], np.float64) / 100
        for stroke in way.split("/")
    ]
    wobbled = [stroke + random.normal(0, WOBBLE, stroke.shape) for stroke in strokes]
    return _skewed(drawn([curve_through(each * [width, 1]) for each in wobbled], random), random)


def _skewed(ink: Ink, random: np.random.Generator) -> Ink:
    """Turned, sheared, stretched and bent, on a sheet that holds all of it."""
    height, width = ink.shape
    angle = np.deg2rad(random.uniform(-TURN, TURN))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = random.uniform(1 - STRETCH, 1 + STRETCH)
    matrix = turn @ [[stretch, random.uniform(-SHEAR, SHEAR)], [0, 1]]
    corners = matrix @ [[0, width, 0, width], [0, 0, height, height]]  # (2, 4)
    low = corners.min(1) - 1
    size = np.ceil(corners.max(1) - low + 1).astype(int).tolist()
    moved = cv2.warpAffine(ink, np.column_stack([matrix, -low]), size)
    return _bent(np.asarray(moved, np.uint8), random)


def _bent(ink: Ink, random: np.random.Generator) -> Ink:
    """With each pixel moved by an amount that varies smoothly over the image."""
    height, width = ink.shape
    farthest = random.uniform(0, BEND) * max(height, width)
    moves = random.uniform(-farthest, farthest, (2, CELLS, CELLS)).astype(np.float32)
    across, down = (
        cv2.resize(move, (width, height), interpolation=cv2.INTER_CUBIC) for move in moves
    )
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(ink, x + across, y + down, cv2.INTER_LINEAR), np.uint8)


@cache
def _glyphs(font_name: str, characters: str) -> list[Ink]:
    """Those of the characters that a font has."""
    path = Path(get_data_path()) / "fonts" / "ttf" / f"{font_name}.ttf"
    font = ImageFont.truetype(path, FONT_SIZE)
    missing = _glyph(font, "\uffff")
    glyphs = [_glyph(font, character) for character in characters]
    return [glyph for glyph in glyphs if glyph.any() and not np.array_equal(glyph, missing)]


def _glyph(font: ImageFont.FreeTypeFont, character: str) -> Ink:
    mask = font.getmask(character, "L")
    width, height = mask.size
    return np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
