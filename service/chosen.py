"""Which series of a metric are to be added up, and the sum of them as this process knows it.

    http_requests, which(route, method, code) --> [how many]
    http_request_duration_seconds, which(route, version) --> [how many in the 1st bucket, ...]

A whole scrape for a dozen sums would hold the event loop up for most of a millisecond.
"""

from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import Gauge

from service.noted import NotedCounter, NotedHistogram

Which = Callable[..., bool]  # asked with the values of the labels, by name or in their order


def every(*_: str, **__: str) -> bool:
    return True


class Chosen(NamedTuple):
    metric: NotedCounter | NotedHistogram | Gauge
    which: Which = every

    @property
    def family(self) -> str:
        (family,) = self.metric.describe()
        return str(family.name)

    def sums(self) -> list[float]:
        """Each bucket alone, of a histogram; else one number. None at all if no series fits."""
        if isinstance(self.metric, Gauge):
            return [sample.value for family in self.metric.collect() for sample in family.samples]
        return self.metric.sums(self.which)
