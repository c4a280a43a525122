"""The numbers of GET /metrics, read by prometheus_client, and what was counted between two scrapes.

text --read--> Exposition --since an earlier one--> what was counted between --> sums, quantiles
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
BOUND = "le"  # label of a bucket


@dataclass(frozen=True)
class Exposition:
    series: dict[str, dict[Labels, float]]  # by name, then labels

    @classmethod
    def read(cls, text: str) -> Self:
        """ValueError if it is not in Prometheus' text format."""
        series: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series[sample.name][frozenset(sample.labels.items())] = sample.value
        return cls(dict(series))

    def since(self, before: Self) -> Self:
        """What was counted after `before`. A counter that fell began anew, and counts from 0.

        Gauges become differences too: read them from `before` or from this one.
        """
        counted = {}
        for name, of_name in self.series.items():
            earlier = before.series.get(name, {})
            counted[name] = {
                labels: value - old if value >= (old := earlier.get(labels, 0.0)) else value
                for labels, value in of_name.items()
            }
        return type(self)(counted)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of that name with these labels; 0 where there is none."""
        return math.fsum(value for _, value in self._having(name, labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums by value of a label."""
        sums: defaultdict[str, float] = defaultdict(float)
        for of_series, value in self._having(name, labels):
            sums[dict(of_series).get(label, "")] += value
        return dict(sums)

    def mean(self, histogram: str, **labels: str) -> float:
        """Of the observations of a histogram; 0 where there is none."""
        count = self.total(f"{histogram}_count", **labels)
        return self.total(f"{histogram}_sum", **labels) / count if count else 0.0

    def quantile(self, histogram: str, q: float, **labels: str) -> float:
        """As Prometheus estimates it, evenly inside a bucket; 0 without observations.

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
