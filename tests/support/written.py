"""Handwritten digits in the form of MNIST: those of scikit-learn, enlarged."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

BOX, SHEET = 20, 28  # pixels


def written_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels (1797, 28, 28) and labels (1797,); an edge is as steep as in MNIST."""
    digits = load_digits()
    return np.stack([_as_mnist(each) for each in digits.images]), digits.target.astype(np.uint8)


def _as_mnist(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Enlarge an image (8, 8) of 0..16 to 20 pixels, with its centre of mass in the middle."""
    ink = (picture / 16)[np.ix_(picture.any(1), picture.any(0))].astype(np.float32)
    height, width = (max(4, round(size * BOX / max(ink.shape))) for size in ink.shape)
    ink = np.clip((cv2.resize(ink, (width, height), interpolation=cv2.INTER_CUBIC) - 0.4) * 3, 0, 1)
    mass = cv2.moments(ink)
    left = round((SHEET - 1) / 2 - mass["m10"] / mass["m00"])
    top = round((SHEET - 1) / 2 - mass["m01"] / mass["m00"])
    left, top = min(max(left, 0), SHEET - width), min(max(top, 0), SHEET - height)
    sheet = np.zeros((SHEET, SHEET), np.uint8)
    sheet[top : top + height, left : left + width] = np.round(ink * 255)
    return sheet
