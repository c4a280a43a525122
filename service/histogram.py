"""The series of one histogram under one set of labels, as the library names and orders them."""

from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

Labels = dict[str, str]
text_of: Callable[[float], str] = floatToGoString  # of a number, as Prometheus writes it


class HistogramSeries:
    """Named once: to write each bound anew at every scrape takes longer than all the rest of it."""

    def __init__(self, name: str, labels: Labels, bounds: Iterable[float]) -> None:
        self._series = [
            *((f"{name}_bucket", {**labels, "le": le}) for le in map(text_of, bounds)),
            (f"{name}_count", labels),
            (f"{name}_sum", labels),
        ]

    def samples(self, counts: Iterable[float], total: float) -> list[Sample]:
        """`counts` of each bucket alone; `total` of all that was observed."""
        so_far = list(accumulate(counts))
        values = [*so_far, so_far[-1], total]
        return [
            Sample(name, labels, value)
            for (name, labels), value in zip(self._series, values, strict=True)
        ]
