"""What the test images of a version are like: the distributions that requests are compared with.

    pixels, probabilities --> {"ink_share": Histogram, ..., "confidence": ..., "label": ...}

The edges of the bins are quantiles, so that about as many images are in each bin: the population
stability index then reacts to a change anywhere. A good model is nearly always certain, so the
edges of its confidence are fixed.
"""

import numpy as np
from numpy.typing import NDArray

from contract.card import MOST_BINS, Histogram, Preparation
from export.proof import Predictions
from export.runners import Pixels
from preprocessing.statistics import counts_by_bin, statistics_of

BINS = 10
PER_BIN = 20  # images: with fewer, the index would be raised by the test set's own noise
CONFIDENCE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
DIGITS = 3  # significant ones of an edge
AT_ONCE = 256  # images


def inputs_of(
    pixels: Pixels, predictions: Predictions, preparation: Preparation
) -> dict[str, Histogram] | None:
    """By quantity, of images (n, *shape) and the predictions for them; None if n is too small."""
    parts = [
        statistics_of(pixels[at : at + AT_ONCE], preparation)
        for at in range(0, len(pixels), AT_ONCE)
    ]
    bins = min(BINS, len(pixels) // PER_BIN)
    histograms: dict[str, Histogram] = {}
    if bins > 1:
        for name in parts[0]:
            values = np.concatenate([part[name] for part in parts])
            histograms[name] = _histogram(values, _quantiles(values, bins))
    classes = np.arange(min(predictions.probabilities.shape[1], MOST_BINS) - 1) + 0.5
    for name, values, edges in (
        ("confidence", predictions.probabilities.max(1), CONFIDENCE),
        ("label", predictions.classes, tuple(classes.tolist())),
    ):
        if len(values) >= PER_BIN * (len(edges) + 1):
            histograms[name] = _histogram(values, edges)
    return histograms or None


def _histogram(values: NDArray[np.generic], edges: tuple[float, ...]) -> Histogram:
    counts = counts_by_bin(values, edges)
    return Histogram(edges=edges, shares=tuple(count / len(values) for count in counts))


def _quantiles(values: NDArray[np.float32], bins: int) -> tuple[float, ...]:
    """Edges with about as many values between them; fewer where many values are equal."""
    inner = np.quantile(values, np.arange(1, bins) / bins).tolist()
    return tuple(sorted({float(f"{edge:.{DIGITS}g}") for edge in inner}))
