"""A number that only the process which is asked knows: the model it serves, not what it counted.

Counted numbers are added up over the workers (see `metrics`). A fact is not: it is set as a whole,
labels included, and the old one is gone, which labels of a gauge in a shared file cannot be.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Family = GaugeMetricFamily | CounterMetricFamily


class Fact(Collector):
    def __init__(
        self,
        kind: type[Family],
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        registry: CollectorRegistry,
    ) -> None:
        self._kind = kind
        self._name, self._meaning, self._labels = name, meaning, labels
        self._said: tuple[float, tuple[str, ...]] | None = None
        registry.register(self)

    def set(self, value: float, *labels: str) -> None:
        """Say this in place of what was said before."""
        self._said = value, labels

    def collect(self) -> Iterator[Family]:
        family = self._kind(self._name, self._meaning, labels=self._labels)
        if self._said is not None:
            value, labels = self._said
            family.add_metric(labels, value)
        yield family
