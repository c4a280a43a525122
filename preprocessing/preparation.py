"""Prepares any image for a network, as its model card says: for training, export and service alike.

    raster --digits.normalize-------------------------------> (28, 28)
           --on white, RGB or gray, resize, crop or fill----> (h, w) or (h, w, 3) RGB

`preparer_of(card.preparation, card.shape).file(body, max_pixels=...)` returns the pixels of a file.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling, fromarray

from contract.card import (
    DigitPreparation,
    LetterboxPreparation,
    ModelCard,
    PhotoPreparation,
    Preparation,
    StretchPreparation,
)
from preprocessing.decoder import Raster, decode
from preprocessing.digits.normalize import InkMode, normalize_digit
from preprocessing.formats import FOR_DIGITS, Reduction

Pixels = NDArray[np.uint8]  # (h, w) or (h, w, 3) RGB

WHITE = 255
# A decoder may reduce an image as far as it stays twice as large as it is needed: the result can
# hardly be told from that of the whole image (Pillow's `reducing_gap`).
GAP = 2
MOST_LONGER = 4  # times the shorter side, that a photo is scaled of
COPIES = 16  # bytes for each decoded pixel: the raster, without alpha, in RGB, and Pillow's copy
SCALED = 12  # bytes for each pixel of the scaled image: Pillow's, an array, and what is cut out
ROWS = 64  # that are laid on white at a time, which takes 25 bytes a pixel


@dataclass(frozen=True)
class Preparer:
    """Makes pixels of `shape`, (h, w) or (h, w, 3), from any image."""

    preparation: Preparation
    shape: tuple[int, ...]

    @cached_property
    def is_for_digits(self) -> bool:
        return isinstance(self.preparation, DigitPreparation)

    @cached_property
    def reduction(self) -> Reduction:
        """How far images may be reduced while they are decoded."""
        match self.preparation:
            case PhotoPreparation(resize=side):
                ribbon = SCALED * side * side

                def scaled(size: tuple[int, int]) -> int:
                    return ribbon * min(MOST_LONGER, -(-max(size) // min(size)))

                return Reduction(GAP * side, min, False, COPIES, scaled)
            case LetterboxPreparation(size=(height, width)):
                sides, area = max, SCALED * height * width
            case StretchPreparation(size=(height, width)):
                sides, area = min, SCALED * height * width
            case _:
                return FOR_DIGITS
        return Reduction(GAP * max(height, width), sides, False, COPIES, lambda _: area)

    def file(self, body: bytes, *, max_pixels: int, ink: InkMode = "auto") -> Pixels:
        """The pixels of an image file; NotAnImage, TooManyPixels, or Blank for a digit."""
        return self(decode(body, max_pixels=max_pixels, reduction=self.reduction), ink)

    def __call__(self, raster: Raster, ink: InkMode = "auto") -> Pixels:
        """The pixels of a decoded image; Blank if it should hold a digit and does not.

        `ink` is for digits only: see `normalize_digit`.
        """
        match self.preparation:
            case PhotoPreparation() as photo:
                return _center_crop(_resize_shorter(self._flat(raster), photo), photo.size)
            case LetterboxPreparation() as letterbox:
                return _letterbox(self._flat(raster), letterbox)
            case StretchPreparation(size=size, interpolation=how):
                return _resize(self._flat(raster), size, how)
        return normalize_digit(raster, ink)

    def with_margin(self, pixels: Pixels) -> Pixels:
        """An image of which this makes `pixels` again: a photo's is as large as it is scaled to.

        The margin, which is cut off, mirrors the image. Other preparations keep images of the
        network's size as they are.
        """
        if not isinstance(self.preparation, PhotoPreparation):
            return pixels
        around = [(0, 0)] * pixels.ndim
        for axis in (0, 1):
            margin = max(0, self.preparation.resize - pixels.shape[axis])
            before = round(margin / 2)  # as `_center_crop` rounds it
            around[axis] = before, margin - before
        return np.pad(pixels, around, "symmetric")

    def _flat(self, raster: Raster) -> Pixels:
        """Without alpha, in RGB or gray as the network needs it."""
        flat: Any = raster
        if flat.ndim == 3 and flat.shape[2] == 4:
            flat = _on_white(flat)
        if len(self.shape) == 2:
            return flat if flat.ndim == 2 else np.asarray(cv2.cvtColor(flat, cv2.COLOR_BGR2GRAY))
        to_rgb = cv2.COLOR_GRAY2RGB if flat.ndim == 2 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(flat, to_rgb), np.uint8)


def _on_white(raster: Raster) -> Raster:
    """BGRA as BGR, a few rows at a time."""
    flat = np.empty((*raster.shape[:2], 3), np.uint8)
    for top in range(0, len(raster), ROWS):
        rows = raster[top : top + ROWS]
        alpha = rows[..., 3:].astype(np.uint16)
        flat[top : top + ROWS] = (rows[..., :3] * alpha + WHITE * (255 - alpha) + 127) // 255
    return flat


def preparer_for(card: str | bytes) -> Preparer:
    """Of a model, by the text of its card.json; BadCard if it is not one."""
    read = ModelCard.from_json(card)
    return preparer_of(read.preparation, read.shape)


@lru_cache(64)
def preparer_of(preparation: Preparation, shape: tuple[int, ...]) -> Preparer:
    """The same object for equal arguments, so that `is` compares preparations."""
    return Preparer(preparation, shape)


def _resize(pixels: Pixels, size: tuple[int, int], interpolation: str) -> Pixels:
    """To (height, width), as Pillow and torchvision's Resize do it."""
    if pixels.shape[:2] == size:
        return pixels
    image: Image = fromarray(pixels)
    resized = image.resize((size[1], size[0]), Resampling[interpolation.upper()])
    return np.asarray(resized)


def _resize_shorter(pixels: Pixels, photo: PhotoPreparation) -> Pixels:
    shorter = min(pixels.shape[:2])
    # Of a ribbon only the middle is scaled: 1 x 4096 pixels would become 256 x a million.
    most = MOST_LONGER * shorter
    pixels = _center_crop(pixels, (min(pixels.shape[0], most), min(pixels.shape[1], most)))
    height, width = pixels.shape[:2]
    size = height * photo.resize // shorter, width * photo.resize // shorter
    return _resize(pixels, size, photo.interpolation)


def _center_crop(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    top, left = (round((pixels.shape[axis] - size[axis]) / 2) for axis in (0, 1))
    return np.ascontiguousarray(pixels[top : top + size[0], left : left + size[1]])


def _letterbox(pixels: Pixels, letterbox: LetterboxPreparation) -> Pixels:
    height, width = pixels.shape[:2]
    scale = min(letterbox.size[0] / height, letterbox.size[1] / width)
    fitting = max(1, round(height * scale)), max(1, round(width * scale))
    resized = _resize(pixels, fitting, letterbox.interpolation)
    sheet = np.full((*letterbox.size, *pixels.shape[2:]), letterbox.fill, np.uint8)
    top, left = ((letterbox.size[axis] - fitting[axis]) // 2 for axis in (0, 1))
    sheet[top : top + fitting[0], left : left + fitting[1]] = resized
    return sheet
