"""What GET /metrics says, as numbers, and what came between two of them.

    text --read--> Exposition --since an earlier one--> what was counted between --> sums, quantiles

Reads what the service writes: lines of `name{label="value",...} number`, no times, no exemplars.
"""

import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

Labels = frozenset[tuple[str, str]]

SERIES = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')
ESCAPED = re.compile(r"\\(.)")
BOUND = "le"  # label of a bucket


@dataclass(frozen=True)
class Exposition:
    series: dict[str, dict[Labels, float]]  # by name, then labels

    @classmethod
    def read(cls, text: str) -> Self:
        """ValueError names the line that is none of Prometheus' text format."""
        told: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
        for line in text.split("\n"):
            if line and not line.startswith("#"):
                name, labels, value = _read(line)
                told[name][labels] = value
        return cls(dict(told))

    def since(self, before: Self) -> Self:
        """What was counted after `before`; a counter that fell began anew, and counts from 0.

        Gauges are as they are in this one less what they were: ask them before.
        """
        return type(self)(
            {
                name: {
                    labels: _grown(before.series.get(name, {}).get(labels, 0.0), value)
                    for labels, value in of_name.items()
                }
                for name, of_name in self.series.items()
            }
        )

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of that name that have these labels; 0 where there is none."""
        return math.fsum(value for _, value in self._having(name, labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums by value of a label."""
        sums: defaultdict[str, float] = defaultdict(float)
        for of_series, value in self._having(name, labels):
            sums[dict(of_series).get(label, "")] += value
        return dict(sums)

    def mean(self, histogram: str, **labels: str) -> float:
        """Of what the histogram saw; 0 where it saw nothing."""
        count = self.total(f"{histogram}_count", **labels)
        return self.total(f"{histogram}_sum", **labels) / count if count else 0.0

    def quantile(self, histogram: str, q: float, **labels: str) -> float:
        """As Prometheus guesses it, evenly inside a bucket; 0 where the histogram saw nothing.

        Above the last bound it is that bound.
        """
        buckets = self.by(f"{histogram}_bucket", BOUND, **labels)
        below, from_bound = 0.0, 0.0
        wanted = q * max(buckets.values(), default=0.0)
        for bound, count in sorted((float(bound), count) for bound, count in buckets.items()):
            if count >= wanted and count > below:
                if math.isinf(bound):
                    return from_bound
                return from_bound + (bound - from_bound) * (wanted - below) / (count - below)
            below, from_bound = count, bound
        return 0.0

    def _having(self, name: str, labels: dict[str, str]) -> Iterator[tuple[Labels, float]]:
        wanted = labels.items()
        return (pair for pair in self.series.get(name, {}).items() if wanted <= pair[0])


def _read(line: str) -> tuple[str, Labels, float]:
    series, _, value = line.rpartition(" ")
    try:
        return *_series(series), float(value)
    except ValueError:
        raise ValueError(f"no line of Prometheus' text format: {line[:200]!r}") from None


# The same ones come with each scrape, and a long load keeps many scrapes.
@functools.lru_cache(maxsize=10_000)
def _series(text: str) -> tuple[str, Labels]:
    found = SERIES.fullmatch(text)
    if found is None:
        raise ValueError(text)
    name, labels = found.groups()
    return name, frozenset(
        (label, _unescaped(value)) for label, value in LABEL.findall(labels or "")
    )


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def _grown(before: float, now: float) -> float:
    return now - before if now >= before else now
