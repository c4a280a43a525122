"""What all workers have counted: the sums of the numbers in the files that they share.

    <kind>_<slot>.db   key, number, key, number, ...    grows at its end; what is there stays there
    histogram_<slot>-<time>-<version>.db                the same, until its version's series go

The library writes these files, and its own collector reads them key by key, which holds the event
loop up for more than 1 ms a worker. Here the place of each number is noted, and places are looked
for only in a file that has grown, so that the numbers of a file are added up at once.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from service.chosen import Chosen, Which
from service.histogram import HistogramSeries, Labels

Key = tuple[str, str]  # kind, and the key in the files: JSON of name, series, labels and meaning
Rows = NDArray[np.intp]
Numbers = NDArray[np.float64]


class _Known(NamedTuple):
    """Where the numbers of a file are."""

    used: int  # bytes, when it was looked through
    places: Rows  # in the file, in steps of 8 bytes
    rows: Rows  # of the same numbers, among the sums


_NONE = _Known(0, np.zeros(0, np.intp), np.zeros(0, np.intp))


class SharedNumbers(Collector):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, _Known] = {}
        self._rows: dict[Key, int] = {}
        self._families: dict[str, _Family] = {}
        self._named = 0  # keys that are in a family
        self._chosen: dict[Chosen, Rows] = {}

    def collect(self) -> Iterator[Metric]:
        sums = self._sums().tolist()
        for family in self._families.values():
            yield family.of(sums)

    def sums(self, chosen: Iterable[Chosen]) -> list[list[float]]:
        """What `Chosen.sums` says of each, over all workers."""
        sums = self._sums()
        return [sums[self._rows_of(each)].sum(0).tolist() for each in chosen]

    def _rows_of(self, chosen: Chosen) -> Rows:
        """(series, numbers of each)"""
        rows = self._chosen.get(chosen)
        if rows is None:
            family = self._families.get(chosen.family)
            found = family.rows(chosen.which) if family is not None else []
            rows = self._chosen[chosen] = np.array(found or [[]], np.intp)
        return rows

    def _sums(self) -> Numbers:
        """Of each row, as the files are now."""
        paths = [*self._folder.glob("*.db")]
        if not self._files.keys() <= {*paths}:
            self._forget()
        try:
            found = [self._read(path) for path in paths]
        except FileNotFoundError:  # it went meanwhile
            return self._sums()
        if self._named < len(self._rows):
            self._families, self._named = _families_of(self._rows), len(self._rows)
            self._chosen.clear()
        sums = np.zeros(len(self._rows))
        for rows, numbers in found:
            sums[rows] += numbers
        return sums

    def _forget(self) -> None:
        """A file is gone, and with it maybe series: look at all that is left as if it were new."""
        self._files.clear()
        self._rows.clear()
        self._families, self._named = {}, 0
        self._chosen.clear()

    def _read(self, path: Path) -> tuple[Rows, Numbers]:
        """Rows, and what a file adds to them."""
        known = self._files.get(path)
        with path.open("rb", buffering=0) as file:
            content = file.read(known.used if known is not None else 4)
            used = int.from_bytes(content[:4], sys.byteorder)
            if used != len(content):
                file.seek(0)
                content = file.read(used)
        if not used:  # it is being made at this moment
            return _NONE.rows, np.zeros(0)
        # Of the same size it has the same keys, also if a worker in another's place has made it
        # anew: that is done with gauges alone, and these have no labels.
        if known is None or known.used != used:
            known = self._files[path] = self._looked_through(path, used)
        return known.rows, np.frombuffer(content, np.float64)[known.places]

    def _looked_through(self, path: Path, used: int) -> _Known:
        kind = path.name.partition("_")[0]
        places, rows = [], []
        entries = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]
        for key, _, _, place in entries:
            if place < used:  # else it has grown meanwhile
                places.append(place // 8)
                rows.append(self._rows.setdefault((kind, key), len(self._rows)))
        return _Known(used, np.array(places, np.intp), np.array(rows, np.intp))


class _Family:
    def __init__(self, kind: str, name: str, meaning: str) -> None:
        self._kind, self._name, self._meaning = kind, name, meaning
        self._numbers: list[tuple[str, Labels, int]] = []  # of a counter or gauge, with their rows
        self._parts: dict[str, _Part] = {}  # of a histogram, by labels

    def add(self, series: str, labels: Labels, row: int) -> None:
        if self._kind != "histogram":
            self._numbers.append((series, labels, row))
            return
        bound = labels.pop("le", None)
        part = self._parts.setdefault(json.dumps(labels, sort_keys=True), _Part(labels))
        if bound is None:
            part.total = row
        else:
            part.buckets[float(bound)] = row

    def close(self) -> None:
        for part in self._parts.values():
            part.buckets = dict(sorted(part.buckets.items()))
            part.series = HistogramSeries(self._name, part.labels, part.buckets)

    def rows(self, which: Which) -> list[list[int]]:
        """Of each series that fits; of a histogram, those of its buckets."""
        numbers = [[row] for _, labels, row in self._numbers if which(**labels)]
        parts = [part for part in self._parts.values() if which(**part.labels)]
        return numbers + [list(part.buckets.values()) for part in parts]

    def of(self, sums: list[float]) -> Metric:
        family = Metric(self._name, self._meaning, self._kind)
        family.samples = [
            Sample(series, labels, sums[row]) for series, labels, row in self._numbers
        ]
        for part in self._parts.values():
            counts = [sums[row] for row in part.buckets.values()]
            family.samples += part.series.samples(counts, sums[part.total])
        return family


class _Part:
    """A histogram under one set of labels."""

    series: HistogramSeries

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.buckets: dict[float, int] = {}  # upper bound -> row
        self.total = 0  # row


def _families_of(rows: dict[Key, int]) -> dict[str, _Family]:
    families: dict[str, _Family] = {}
    for (kind, key), row in rows.items():
        name, series, labels, meaning = json.loads(key)
        families.setdefault(name, _Family(kind, name, meaning)).add(series, labels, row)
    for family in families.values():
        family.close()
    return families
