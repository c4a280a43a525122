"""Histograms and counters that are written to at the price of a list.append.

    hot path --note, 30 ns--> list --fold, now and then--> the metric, in bulk

Prometheus' own observe() takes 2 us, and a prediction has five of them: more than its JSON. What is
noted is seen by a scrape, for that folds first. Notes may come from any thread; fold on one.
"""

import collections
from typing import Any

import numpy as np
from prometheus_client import Counter, Histogram


class NotedHistogram(Histogram):
    def _metric_init(self) -> None:
        super()._metric_init()
        self._notes: list[float] = []
        self.note_all = self._notes.extend
        self.note = self._notes.append

    def fold(self) -> None:
        """Add what was noted, under every label."""
        if self._labelnames and not self._labelvalues:
            children: list[Any] = [*self._metrics.values()]
            for child in children:
                child.fold()
            return
        count = len(self._notes)  # more may come meanwhile: those stay
        if not count:
            return
        values = np.array(self._notes[:count])
        del self._notes[:count]
        # The first bound not below it; for NaN there is none, and it counts in the last.
        places = np.searchsorted(self._upper_bounds, values).clip(max=len(self._buckets) - 1)
        for place, number in enumerate(np.bincount(places).tolist()):
            if number:
                self._buckets[place].inc(number)
        self._sum.inc(float(values.sum()))


class NotedCounter(Counter):
    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._notes: list[tuple[str, ...]] = []  # the values of all labels; () if it has none
        self.note_all = self._notes.extend
        self.note = self._notes.append

    def fold(self) -> None:
        count = len(self._notes)
        noted = collections.Counter(self._notes[:count])
        del self._notes[:count]
        for labels, number in noted.items():
            (self.labels(*labels) if labels else self).inc(number)
