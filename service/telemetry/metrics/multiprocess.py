"""Sums over all workers of the numbers in the memory that they share.

    memory --places--> numbers of each worker --added up by labels--> families of /metrics
                                              --those that match----> sums

Where the numbers of a metric are is looked up only after the series of a worker have changed, so
that those of all its series, of all workers, are read at once.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from operator import is_

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.telemetry.metrics.buffered import BufferedMetric, LabelValues
from service.telemetry.metrics.shared_memory import Entry, SharedMemory, key_of

Places = NDArray[np.intp]
Numbers = NDArray[np.float64]
Matches = Callable[..., bool]  # called with the label values of a series, in their order
# Different label values; of each series, which of them it has, and the places of its numbers.
Series = tuple[list[LabelValues], Places, Places]


def all_series(*_: str) -> bool:
    return True


class SharedNumbers(Collector):
    def __init__(self, memory: SharedMemory, metrics: Iterable[BufferedMetric]) -> None:
        self._memory = memory
        self._metrics = metrics
        self._numbers = np.asarray(memory.numbers, np.float64)
        self._entries: list[dict[str, Entry]] = []  # of each segment, that are known
        self._known: dict[tuple[BufferedMetric, Matches], Series] = {}

    def collect(self) -> Iterator[Metric]:
        for metric in self._metrics:
            yield metric.family_of(self.totals(metric))

    def totals(self, metric: BufferedMetric) -> dict[LabelValues, list[float]]:
        """The numbers of each series, by its label values."""
        (labels, rows, _), numbers = self._read(metric, all_series)
        sums = np.zeros((len(labels), metric.count))
        np.add.at(sums, rows, numbers)
        return dict(zip(labels, sums.tolist(), strict=True))

    def sums(self, metric: BufferedMetric, matches: Matches = all_series) -> list[float]:
        """The sum over the matching series of each bucket, or of the one number."""
        _, numbers = self._read(metric, matches)
        sums: list[float] = numbers.sum(0).tolist()
        return sums[: metric.buckets]

    def _read(self, metric: BufferedMetric, matches: Matches) -> tuple[Series, Numbers]:
        """The matching series of a metric, and the numbers (series, count) of each worker's."""
        while True:
            entries = [segment.entries() for segment in self._memory.segments]
            if not _are_same(entries, self._entries):
                self._entries, self._known = entries, {}
            series = self._known.get((metric, matches))
            if series is None:
                series = self._known[metric, matches] = self._series_of(metric, matches)
            numbers: Numbers = self._numbers[series[2]]
            # Else others may have taken the places of a series that has ended.
            if _are_same(entries, [segment.entries() for segment in self._memory.segments]):
                return series, numbers

    def _series_of(self, metric: BufferedMetric, matches: Matches) -> Series:
        rows: dict[LabelValues, int] = {}
        found: list[tuple[int, int]] = []  # row, and place of the first number
        start = key_of(metric.kind, metric.family)[:-1]
        for segment, entries in zip(self._memory.segments, self._entries, strict=True):
            for key, entry in entries.items():
                # One with another count is of another release.
                if key.startswith(start) and entry.length == metric.count:
                    labels = tuple(json.loads(key)[2:])
                    if matches(*labels):
                        row = rows.setdefault(labels, len(rows))
                        found.append((row, segment.start + entry.start))
        row_of, firsts = np.array(found, np.intp).reshape(-1, 2).T
        return [*rows], row_of, firsts[:, np.newaxis] + np.arange(metric.count)


def _are_same(some: list[dict[str, Entry]], others: list[dict[str, Entry]]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))
