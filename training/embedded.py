"""Training data where MNIST is not available: scikit-learn's digits and drawn ones.

scikit-learn contains 1,797 handwritten digits of 8x8 pixels in 17 levels (UCI optdigits). They are
enlarged to 20 pixels and centred by mass in 28x28, as MNIST was made. Every fifth is a test image.
The others are training images, together with 12,000 drawn digits (`hands`).
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch.nn import functional as F  # noqa: N812 (its usual name)

from preprocessing.digits.normalize import center
from training.hands import HANDS, USUAL_HANDS, drawn_digits
from training.listing import Part

BOX = 20  # pixels
TEST_SHARE = 5  # every fifth image
DRAWN = 12_000

# The digits have few writers: distort them more than MNIST needs, to stand for other writers.
EMBEDDED_RECIPE = {
    "epochs": 24,
    "rotation": 15.0,
    "scale": 0.25,
    "aspect": 0.25,
    "shear": 0.35,
    "elastic": 0.8,
    "stroke": 1.0,
    "validation": 0.1,
}


@cache
def embedded_digits() -> tuple[Part, Part]:
    """Training and test images with labels; always the same."""
    pixels, labels = written_digits()
    test = np.arange(len(labels)) % TEST_SHARE == 0
    drawn_pixels, drawn_labels = drawn_digits(DRAWN, seed=0, hands=HANDS | USUAL_HANDS)
    train = (
        np.concatenate([pixels[~test], drawn_pixels]),
        np.concatenate([labels[~test], drawn_labels]),
    )
    return train, (pixels[test], labels[test])


def written_digits() -> Part:
    """scikit-learn's 1,797 digits."""
    digits = load_digits()
    pixels = np.stack([_like_mnist(image) for image in digits.images])  # (1797, 28, 28)
    return pixels, digits.target.astype(np.uint8)


def _like_mnist(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """An image (8, 8), 0..16, as (28, 28) uint8."""
    ink = torch.from_numpy(image / 16).float()
    rows, columns = torch.where(ink > 0)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]  # (h, w) <= 8
    height, width = (max(4, round(size * BOX / max(ink.shape))) for size in ink.shape)
    ink = F.interpolate(ink[None, None], (height, width), mode="bicubic", align_corners=False)
    ink = torch.clamp((ink[0, 0] - 0.4) * 3.0, 0, 1)  # (h, w) <= 20, edges as steep as MNIST's
    return center(np.round(ink.numpy() * 255).astype(np.uint8))
