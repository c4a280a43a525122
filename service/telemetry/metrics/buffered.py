"""Histograms, counters and gauges that are written to at the price of a list.append.

    hot path --note, 30 ns--> list --fold, now and then--> the metric, in bulk

Prometheus' own observe() takes 2 us, and a prediction has five of them: more than its JSON. What is
noted is seen by a scrape, for that folds first. Notes may come from any thread; fold on one.

The numbers of each series are in the memory that workers share, or in that of the one process. A
metric writes the family of any series that it is given, so also that of the sums over all workers.

A request that is traced may be named as the exemplar of its bucket: the latest is kept, in memory.

The series of one histogram under one set of labels, as the library names and orders them.

Which series of a metric are to be added up, and the sum of them as this process knows it.

    http_requests, which(route, method, code) --> [how many]
    http_request_duration_seconds, which(route, version) --> [how many in the 1st bucket, ...]

A whole scrape for a dozen sums would hold the event loop up for most of a millisecond.
"""

import collections
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from service.telemetry.metrics.shared_memory import Cells, Writer, key_of, private_cells

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
        return series_key(*self._series[place])

    def samples(self, counts: Iterable[float], total: float) -> list[Sample]:
        """`counts` of each bucket alone; `total` of all that was observed."""
        so_far = list(accumulate(counts))
        values = [*so_far, so_far[-1], total]
        return [
            Sample(name, labels, value)
            for (name, labels), value in zip(self._series, values, strict=True)
        ]


def series_key(name: str, labels: Labels) -> Key:
    return name, frozenset(labels.items())


def exemplar_text(trace_id: str, value: float, at: float) -> str:
    """`at`: seconds since 1970. OpenMetrics allows 128 letters of labels; a trace's id has 32."""
    return f' # {{trace_id="{trace_id}"}} {text_of(value)} {at:.3f}'


LabelValues = tuple[str, ...]
Series = Mapping[LabelValues, Sequence[float]]  # the numbers of each, by the values of its labels

_INCREMENT = threading.Lock()


class Value:
    """A number in memory, as the library's metrics have it."""

    def __init__(self, cells: Cells, place: int) -> None:
        self._cells = cells
        self._place = place

    def inc(self, amount: float) -> None:
        with _INCREMENT:
            self._cells[self._place] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        self._cells[self._place] = value

    def get(self) -> float:
        return self._cells[self._place]

    def set_exemplar(self, exemplar: object) -> None:
        """They are named otherwise: see `exemplify`."""

    def get_exemplar(self) -> None:
        """See above."""


class _Stored(MetricWrapperBase):
    """What counters, histograms and gauges have in common: part of a class of the library's."""

    _type: str
    _ending = ""  # of a sample's name

    def __init__(self, *words: Any, memory: Writer | None = None, **options: Any) -> None:
        """`memory`: that workers share; None: this process is alone."""
        self._memory = memory
        super().__init__(*words, **options)
        self._kwargs["memory"] = memory  # for each series that has labels

    @property
    def family(self) -> str:
        return str(self._name)

    @property
    def kind(self) -> str:
        return self._type

    @property
    def count(self) -> int:
        """Numbers of each series."""
        return 1

    @property
    def buckets(self) -> int:
        """As many of them are in `sums`."""
        return 1

    def family_of(self, series: Series) -> Metric:
        """With these series, wherever they were counted."""
        family = Metric(self._name, self._documentation, self._type)
        family.samples = [
            Sample(
                self._name + self._ending,
                dict(zip(self._labelnames, labels, strict=True)),
                numbers[0],
            )
            for labels, numbers in series.items()
        ]
        return family

    def collect(self) -> Iterator[Metric]:
        """What the library's own does, in a quarter of the time."""
        yield self.family_of({each._labelvalues: each._cells.tolist() for each in self._each})

    def sums(self, which: Callable[..., bool]) -> list[float]:
        """Each bucket alone, of a histogram; else one number. None at all if no series fits."""
        fitting = [each._cells.tolist() for each in self._each if which(*each._labelvalues)]
        return [sum(column) for column in zip(*fitting, strict=True)][: self.buckets]

    @property
    def _each(self) -> list[Any]:
        """What has numbers: itself, or one under each set of labels."""
        parent = self._labelnames and not self._labelvalues
        return [*self._metrics.values()] if parent else [self]

    def _metric_init(self) -> None:
        self._created = time.time()
        if self._memory is None:
            self._cells = private_cells(self.count)
        else:
            key = key_of(self._type, self._name, self._labelvalues)
            self._cells = self._memory.cells(key, self.count)
        self._value = Value(self._cells, 0)


class BufferedGauge(_Stored, Gauge):
    pass


class BufferedCounter(_Stored, Counter):
    _ending = "_total"

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._buffer: list[LabelValues] = []  # the values of all labels; () if it has none
        self.record_all = self._buffer.extend
        self.record = self._buffer.append

    def flush(self) -> None:
        count = len(self._buffer)
        noted = collections.Counter(self._buffer[:count])
        del self._buffer[:count]
        for labels, number in noted.items():
            (self.labels(*labels) if labels else self).inc(number)


class BufferedHistogram(_Stored, Histogram):
    def __init__(self, *words: Any, **options: Any) -> None:
        self._names: dict[LabelValues, HistogramSeries] = {}
        super().__init__(*words, **options)

    @property
    def count(self) -> int:
        """Each bucket alone, and the sum of all that was observed."""
        return len(self._upper_bounds) + 1

    @property
    def buckets(self) -> int:
        """Without that sum."""
        return len(self._upper_bounds)

    def _metric_init(self) -> None:
        super()._metric_init()
        self._buckets = [Value(self._cells, place) for place in range(len(self._upper_bounds))]
        self._sum = Value(self._cells, len(self._upper_bounds))
        self._buffer: list[float] = []
        self.record_all = self._buffer.extend
        self.record = self._buffer.append
        self._exemplars: dict[int, str] = {}  # by place of the bucket

    def family_of(self, series: Series) -> Metric:
        self._names = {labels: self._named(labels) for labels in series}
        family = Metric(self._name, self._documentation, self._type)
        for labels, (*counts, total) in series.items():
            family.samples += self._names[labels].samples(counts, total)
        return family

    def _named(self, labels: LabelValues) -> HistogramSeries:
        found = self._names.get(labels)
        if found is None:
            named = dict(zip(self._labelnames, labels, strict=True))
            found = HistogramSeries(self._name, named, self._upper_bounds)
        return found

    def exemplify(self, value: float, trace_id: str) -> None:
        """Name a trace as an example of a value that was noted."""
        place = min(bisect_left(self._upper_bounds, value), len(self._upper_bounds) - 1)
        self._exemplars[place] = exemplar_text(trace_id, value, time.time())

    def exemplars(self) -> Exemplars:
        """The latest of each bucket, under every label."""
        return {
            self._named(each._labelvalues).key(place): text
            for each in self._each
            for place, text in [*each._exemplars.items()]
        }

    def stored(self) -> list[LabelValues]:
        """Series in the shared memory, also those of the process before this one, oldest first."""
        return [] if self._memory is None else self._memory.labels(self._type, self._name)

    def forget(self, which: Callable[..., bool]) -> None:
        """Have no series under labels that fit any more."""
        with self._lock:
            for labels in [*self._metrics]:
                if which(*labels):
                    del self._metrics[labels]
        if self._memory is not None:
            for labels in self.stored():
                if which(*labels):
                    self._memory.remove(key_of(self._type, self._name, labels))

    def flush(self) -> None:
        """Add what was noted, under every label."""
        for each in self._each:
            each._flush()

    def _flush(self) -> None:
        count = len(self._buffer)  # more may come meanwhile: those stay
        if not count:
            return
        values = np.array(self._buffer[:count])
        del self._buffer[:count]
        # The first bound not below it; for NaN there is none, and it counts in the last.
        last = len(self._upper_bounds) - 1
        places = np.searchsorted(self._upper_bounds, values).clip(max=last)
        for place, number in enumerate(np.bincount(places).tolist()):
            if number:
                self._cells[place] += number
        self._cells[last + 1] += float(values.sum())


BufferedMetric = BufferedCounter | BufferedHistogram | BufferedGauge


Which = Callable[..., bool]  # called with the values of the labels, in their order


def every(*_: str) -> bool:
    return True


class MetricSelector(NamedTuple):
    metric: BufferedMetric
    which: Which = every

    def sums(self) -> list[float]:
        return self.metric.sums(self.which)
