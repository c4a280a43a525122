"""Counters, histograms and gauges whose hot-path cost is that of a list.append.

    hot path --record, 30 ns--> buffer --flush--> numbers of the series --collect--> a scrape

The library's observe() takes 2 us and a prediction needs five of them, so values are buffered and
added in bulk. Any thread may record; one thread flushes, at the latest before each scrape.

The numbers of a series are in the memory that workers share: `multiprocess` adds them up, and
`family_of` makes a family of the sums.
"""

import collections
import threading
import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from service.telemetry.metrics.shared_memory import Cells, Writer, key_of

LabelValues = tuple[str, ...]
Series = Mapping[LabelValues, Sequence[float]]  # the numbers of each series, by its label values

text_of: Callable[[float], str] = floatToGoString  # as Prometheus writes a number
_INCREMENT = threading.Lock()


class Number:
    """A series of one number."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells

    def inc(self, amount: float = 1) -> None:
        with _INCREMENT:
            self.cells[0] += amount

    def set(self, value: float) -> None:
        self.cells[0] = value


class Distribution:
    """A series of a histogram: one number for each bucket, then the sum of all values."""

    def __init__(self, cells: Cells, bounds: Sequence[float]) -> None:
        self.cells = cells
        self.exemplars: dict[int, Exemplar] = {}  # the latest one, by the bucket's index
        self._bounds = bounds
        self._buffer: list[float] = []
        self.record = self._buffer.append
        self.record_all = self._buffer.extend

    def exemplify(self, value: float, trace_id: str) -> None:
        """Make a trace the exemplar of the bucket of `value`."""
        index = min(bisect_left(self._bounds, value), len(self._bounds) - 1)
        self.exemplars[index] = Exemplar({"trace_id": trace_id}, value, round(time.time(), 3))

    def flush(self) -> None:
        count = len(self._buffer)  # other threads may append meanwhile
        if not count:
            return
        values = np.array(self._buffer[:count])
        del self._buffer[:count]
        # The first bound that is not below the value; NaN has none and counts in the last bucket.
        last = len(self._bounds) - 1
        indexes = np.searchsorted(self._bounds, values).clip(max=last)
        for index, number in enumerate(np.bincount(indexes).tolist()):
            if number:
                self.cells[index] += number
        self.cells[last + 1] += float(values.sum())


S = TypeVar("S", Number, Distribution)


class _Buffered(ABC, Generic[S]):
    kind: ClassVar[str]
    count = 1  # numbers of each series
    buckets = 1  # of them, those that `sums` returns

    def __init__(
        self,
        name: str,
        documentation: str,
        label_names: Sequence[str] = (),
        *,
        memory: Writer,
    ) -> None:
        self.family = name
        self._documentation = documentation
        self._label_names = label_names
        self._memory = memory
        self._series: dict[LabelValues, S] = {}
        self._lock = threading.Lock()
        if not label_names:
            self.labels()

    def labels(self, *values: str) -> S:
        """The series with these label values, which is made if there is none."""
        series = self._series.get(values)
        if series is None:
            with self._lock:
                series = self._series.get(values)
                if series is None:
                    series = self._series[values] = self._new(self._cells(values))
        return series

    @abstractmethod
    def family_of(self, series: Series) -> Metric:
        """The family of these series, in whichever process they were counted."""

    def stored(self) -> list[LabelValues]:
        """Series in the memory, those of the slot's previous process included, oldest first."""
        return self._memory.labels(self.kind, self.family)

    def forget(self, matches: Callable[..., bool]) -> None:
        """Remove the matching series."""
        with self._lock:
            for labels in [each for each in self._series if matches(*each)]:
                del self._series[labels]
        for labels in self.stored():
            if matches(*labels):
                self._memory.remove(key_of(self.kind, self.family, labels))

    @abstractmethod
    def _new(self, cells: Cells) -> S: ...

    def _cells(self, values: LabelValues) -> Cells:
        return self._memory.cells(key_of(self.kind, self.family, values), self.count)


class BufferedGauge(_Buffered[Number]):
    kind = "gauge"

    def set(self, value: float) -> None:
        self.labels().set(value)

    def family_of(self, series: Series) -> Metric:
        family = GaugeMetricFamily(self.family, self._documentation, labels=self._label_names)
        for labels, (value,) in series.items():
            family.add_metric(labels, value)
        return family

    def _new(self, cells: Cells) -> Number:
        return Number(cells)


class BufferedCounter(_Buffered[Number]):
    kind = "counter"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._buffer: list[LabelValues] = []  # label values; () if it has no labels
        self.record = self._buffer.append
        self.record_all = self._buffer.extend
        super().__init__(*arguments, **options)

    def inc(self, amount: float = 1) -> None:
        self.labels().inc(amount)

    def flush(self) -> None:
        count = len(self._buffer)
        recorded = collections.Counter(self._buffer[:count])
        del self._buffer[:count]
        for labels, number in recorded.items():
            self.labels(*labels).inc(number)

    def family_of(self, series: Series) -> Metric:
        family = CounterMetricFamily(self.family, self._documentation, labels=self._label_names)
        for labels, (value,) in series.items():
            family.add_metric(labels, value)
        return family

    def _new(self, cells: Cells) -> Number:
        return Number(cells)


class BufferedHistogram(_Buffered[Distribution]):
    kind = "histogram"

    def __init__(self, *arguments: Any, buckets: Sequence[float], **options: Any) -> None:
        self._bounds = [*buckets, inf]
        self._bound_texts = [text_of(bound) for bound in self._bounds]
        self.buckets = len(self._bounds)
        self.count = self.buckets + 1
        super().__init__(*arguments, **options)
        if not self._label_names:
            only = self.labels()
            self.record, self.record_all = only.record, only.record_all

    def flush(self) -> None:
        """Add what was recorded, in every series."""
        for each in [*self._series.values()]:
            each.flush()

    def family_of(self, series: Series) -> Metric:
        """With the exemplars of this process."""
        family = HistogramMetricFamily(self.family, self._documentation, labels=self._label_names)
        for labels, (*counts, total) in series.items():
            own = self._series.get(labels)
            exemplars = own.exemplars if own is not None else {}
            buckets = zip(self._bound_texts, accumulate(counts), strict=True)
            family.add_metric(
                labels,
                [
                    (*bucket, exemplars[index]) if index in exemplars else bucket
                    for index, bucket in enumerate(buckets)
                ],
                total,
            )
        return family

    def _new(self, cells: Cells) -> Distribution:
        return Distribution(cells, self._bounds)


BufferedMetric = BufferedCounter | BufferedHistogram | BufferedGauge
