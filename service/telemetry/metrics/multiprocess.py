"""Sums over all workers of the numbers in the memory that they share.

    segments --places--> numbers of each worker --rows--> sums --family_of--> families of /metrics

Where the numbers of a segment are is looked up only after its entries have changed, so that all of
them are added up at once.
"""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import BufferedMetric, LabelValues, MetricSelector
from service.telemetry.metrics.shared_memory import Entry, Segment

Rows = NDArray[np.intp]
Numbers = NDArray[np.float64]


class _Known(NamedTuple):
    """Where the numbers of a segment are."""

    entries: dict[str, Entry]
    places: Rows  # among its numbers
    rows: Rows  # of the same numbers, among the sums


class SharedNumbers(Collector):
    def __init__(self, segments: list[Segment], metrics: Iterable[BufferedMetric]) -> None:
        self._segments = segments
        self._metrics = metrics
        self._numbers = [np.asarray(segment.numbers, np.float64) for segment in segments]
        self._known: dict[int, _Known] = {}  # by segment
        self._series: dict[str, dict[LabelValues, int]] = {}  # family -> labels -> its first row
        self._rows: dict[str, int] = {}  # key -> its first row
        self._total = 0  # rows
        self._selected: dict[MetricSelector, Rows] = {}

    def collect(self) -> Iterator[Metric]:
        sums = self._sums().tolist()
        for metric in self._metrics:
            series = self._series.get(metric.family, {})
            yield metric.family_of(
                {labels: sums[row : row + metric.count] for labels, row in series.items()}
            )

    def sums(self, selectors: Iterable[MetricSelector]) -> list[list[float]]:
        """`MetricSelector.sums` of each, over all workers."""
        sums = self._sums()
        return [sums[self._rows_of(each)].sum(0).tolist() for each in selectors]

    def _rows_of(self, selector: MetricSelector) -> Rows:
        """(series, numbers of each)"""
        rows = self._selected.get(selector)
        if rows is None:
            metric = selector.metric
            series = self._series.get(metric.family, {})
            fitting = [row for labels, row in series.items() if selector.matches(*labels)]
            first = np.array(fitting, np.intp).reshape(-1, 1)
            rows = self._selected[selector] = first + np.arange(metric.buckets if fitting else 0)
        return rows

    def _sums(self) -> Numbers:
        """Of each row, as the numbers are now."""
        found = [self._read(place) for place in range(len(self._segments))]
        if len(self._known) < len(found):  # series have ended while the first ones were read
            return self._sums()
        sums = np.zeros(self._total)
        for rows, numbers in found:
            sums[rows] += numbers
        return sums

    def _read(self, place: int) -> tuple[Rows, Numbers]:
        """Rows, and what a segment adds to them."""
        while True:
            entries = self._segments[place].entries()
            known = self._known.get(place)
            if known is None or known.entries is not entries:
                if known is not None and not known.entries.keys() <= entries.keys():
                    self._forget()
                known = self._known[place] = self._look_through(entries)
                self._selected.clear()
            numbers = self._numbers[place][known.places]
            if self._segments[place].entries() is entries:
                return known.rows, numbers

    def _forget(self) -> None:
        """Series have ended: look at all that is left as if it were new."""
        self._known.clear()
        self._series.clear()
        self._rows.clear()
        self._total = 0

    def _look_through(self, entries: dict[str, Entry]) -> _Known:
        places, rows = [], []
        counts = {(metric.kind, metric.family): metric.count for metric in self._metrics}
        for key, entry in entries.items():
            kind, family, *labels = json.loads(key)
            if counts.get((kind, family)) != entry.length:
                continue  # no metric, or that of another release
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = self._total
                self._series.setdefault(family, {})[tuple(labels)] = row
                self._total += entry.length
            places.append(np.arange(entry.start, entry.start + entry.length))
            rows.append(np.arange(row, row + entry.length))
        if not places:
            return _Known(entries, np.zeros(0, np.intp), np.zeros(0, np.intp))
        return _Known(entries, np.concatenate(places), np.concatenate(rows))
