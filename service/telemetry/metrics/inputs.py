"""What the images of requests are like, in the bins of the served version's card.

    batch --record--> some of its images --flush--> input_images_total{version, quantity, bin}
    card.inputs ----------------------------------> expected_share{version, quantity, bin}

A counter for each bin rather than a histogram: the population stability index compares bins, and
the cumulative buckets of Prometheus cannot be subtracted from one another.

Of the images of a second the first are counted, up to SAMPLED bytes: 64 digits, or 3 photographs of
224 x 224 RGB pixels, which take 0.3 ms of the event loop, whatever the load. All bins have a series
from the start, for the version that serves and the one before it. A card without distributions has
none.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.card import Histogram, Preparation
from preprocessing.statistics import Pixels, counts_by_bin, statistics_of, thinned
from service.telemetry.metrics.buffered import BufferedCounter, Number

SAMPLED = 64 * 28 * 28  # bytes of pixels in a second
LEAST = 0.001  # share of a bin in the index, as in deploy/prometheus: of 0 it would be infinite
KEPT = 2  # versions: the one that serves, and the one before

Labels = tuple[str, ...]  # version, quantity, bin


class InputChange(NamedTuple):
    """How far the images of requests are from the test images in one quantity."""

    quantity: str
    images: int  # sampled since the version began to serve
    psi: float | None  # population stability index; None: there are no images


class Expected(NamedTuple):
    """The distributions on a version's card."""

    version: int
    preparation: Preparation
    labels: Sequence[str]  # of the classes, as metrics name them
    inputs: Mapping[str, Histogram]

    def bins(self, quantity: str) -> list[str]:
        """The name of each bin: a class, or a range that includes its upper bound."""
        edges = self.inputs[quantity].edges
        classes = [*dict.fromkeys(self.labels)]
        if quantity == "label" and len(classes) == len(edges) + 1:
            return classes
        if not edges:
            return ["all"]
        between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        return [f"up to {edges[0]:g}", *between, f"above {edges[-1]:g}"]

    def series(self, quantity: str) -> list[Labels]:
        """The label values of each bin."""
        return [(str(self.version), quantity, name) for name in self.bins(quantity)]

    def shares(self) -> dict[Labels, float]:
        return {
            labels: share
            for quantity, histogram in self.inputs.items()
            for labels, share in zip(self.series(quantity), histogram.shares, strict=True)
        }

    def changes(self, counted: Mapping[Labels, Sequence[float]]) -> list[InputChange]:
        """By quantity; `counted` are the numbers of the series of input_images_total."""
        found = []
        for quantity, histogram in self.inputs.items():
            counts = np.array([counted[labels][0] for labels in self.series(quantity)])
            images, psi = int(counts.sum()), None
            if images:
                share = np.maximum(counts / images, LEAST)
                expected = np.maximum(histogram.shares, LEAST)
                psi = float(((share - expected) * np.log(share / expected)).sum())
            found.append(InputChange(quantity, images, psi))
        return found


class _Counters:
    """The series of a version."""

    def __init__(self, expected: Expected, images: BufferedCounter) -> None:
        self.preparation = expected.preparation
        self.edges = {name: histogram.edges for name, histogram in expected.inputs.items()}
        self._series: dict[str, list[Number]] = {
            name: [images.labels(*labels) for labels in expected.series(name)]
            for name in self.edges
        }

    def add(self, values: Mapping[str, NDArray[np.generic]]) -> None:
        for quantity, edges in self.edges.items():
            if quantity in values:  # another release's card may have more
                counts = counts_by_bin(values[quantity], edges)
                for series, count in zip(self._series[quantity], counts, strict=True):
                    if count:
                        series.inc(count)


class _Sample(NamedTuple):
    counters: _Counters
    pixels: Pixels
    classes: Sequence[int]
    confidences: Sequence[float]


class InputMetrics:
    """`record` is called on any thread, everything else on the event loop."""

    def __init__(
        self, images: BufferedCounter, expect: Callable[[Mapping[Labels, float]], object]
    ) -> None:
        """`images` has the labels version, quantity and bin. `expect` exposes shares by them."""
        self.images = images
        self.expected: Expected | None = None  # None: no version serves yet
        self._expect = expect
        # In the order in which they began to serve. None: not of this process.
        self._kept: dict[int, _Counters | None] = dict.fromkeys(
            int(version) for version, _, _ in images.stored()
        )
        self._serving: tuple[int, _Counters | None] = 0, None
        self._samples: list[_Sample] = []
        self._left = SAMPLED  # bytes of this second
        self._next = 0.0  # when there are more, on time.monotonic

    def serves(self, expected: Expected) -> None:
        """To be called before the version answers."""
        self.flush()
        self._left = SAMPLED
        counters = _Counters(expected, self.images) if expected.inputs else None
        self._serving = expected.version, counters
        self.expected = expected
        self._expect(expected.shares())
        self._kept.pop(expected.version, None)
        self._kept[expected.version] = counters
        for version in [*self._kept][:-KEPT]:
            del self._kept[version]
            self.images.forget(lambda each, *_, gone=str(version): each == gone)

    def record(
        self, version: int, pixels: Pixels, classes: Sequence[int], confidences: Sequence[float]
    ) -> None:
        """The images (n, *shape) of a batch, their predicted classes and confidences."""
        serving, counters = self._serving
        if self._left <= 0 or counters is None or serving != version:
            return
        taken = thinned(pixels)
        count = max(1, self._left * len(taken) // taken.nbytes)
        # A copy, for the pixels may be part of a request's body.
        taken = np.array(taken[:count])
        self._left -= taken.nbytes
        self._samples.append(_Sample(counters, taken, classes[:count], confidences[:count]))

    def flush(self) -> None:
        """Count what was recorded."""
        samples, self._samples = self._samples, []
        now = time.monotonic()
        if now >= self._next:
            self._left, self._next = SAMPLED, now + 1
        for counters in dict.fromkeys(sample.counters for sample in samples):
            if counters not in self._kept.values():  # its series have ended
                continue
            of_version = [sample for sample in samples if sample.counters is counters]
            pixels = np.concatenate([sample.pixels for sample in of_version])
            counters.add(
                {
                    **statistics_of(pixels, counters.preparation),
                    "label": np.concatenate([sample.classes for sample in of_version]),
                    "confidence": np.concatenate([sample.confidences for sample in of_version]),
                }
            )
