"""Which series of a metric are to be added up, and the sum of them as this process knows it.

    http_requests, which(route, method, code) --> [how many]
    http_request_duration_seconds, which(route, version) --> [how many in the 1st bucket, ...]

A whole scrape for a dozen sums would hold the event loop up for most of a millisecond.
"""

from collections.abc import Callable
from typing import NamedTuple

from service.noted import NotedMetric

Which = Callable[..., bool]  # called with the values of the labels, in their order


def every(*_: str) -> bool:
    return True


class Chosen(NamedTuple):
    metric: NotedMetric
    which: Which = every

    def sums(self) -> list[float]:
        return self.metric.sums(self.which)
