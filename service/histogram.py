"""The series of one histogram under one set of labels, as the library names and orders them."""

from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

Labels = dict[str, str]
Key = tuple[str, frozenset[tuple[str, str]]]  # of a series: its name and labels
Exemplars = dict[Key, str]  # as OpenMetrics writes them behind a number
text_of: Callable[[float], str] = floatToGoString  # of a number, as Prometheus writes it


class HistogramSeries:
    """Named once: to write each bound anew at every scrape takes longer than all the rest of it."""

    def __init__(self, name: str, labels: Labels, bounds: Iterable[float]) -> None:
        self._series = [
            *((f"{name}_bucket", {**labels, "le": le}) for le in map(text_of, bounds)),
            (f"{name}_count", labels),
            (f"{name}_sum", labels),
        ]

    def key(self, place: int) -> Key:
        """Of the bucket there."""
        return key_of(*self._series[place])

    def samples(self, counts: Iterable[float], total: float) -> list[Sample]:
        """`counts` of each bucket alone; `total` of all that was observed."""
        so_far = list(accumulate(counts))
        values = [*so_far, so_far[-1], total]
        return [
            Sample(name, labels, value)
            for (name, labels), value in zip(self._series, values, strict=True)
        ]


def key_of(name: str, labels: Labels) -> Key:
    return name, frozenset(labels.items())


def exemplar_text(trace_id: str, value: float, at: float) -> str:
    """`at`: seconds since 1970. OpenMetrics allows 128 letters of labels; a trace's id has 32."""
    return f' # {{trace_id="{trace_id}"}} {text_of(value)} {at:.3f}'
