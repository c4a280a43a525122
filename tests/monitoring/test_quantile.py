"""The p50 and p99 of /v1/live equal those computed by Prometheus from the same buckets."""

import json
from itertools import accumulate

import pytest

from service.api.live.summary import quantile
from service.telemetry.metrics.registry import SECONDS
from tests.monitoring.prometheus import Prometheus

BOUNDS = [*(f"{bound:g}" for bound in SECONDS), "+Inf"]


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize(
    "counts",
    [
        [7] + [0] * 16,
        [0, 0, 3, 90, 7] + [0] * 12,
        [1, 0, 0, 1] + [0] * 13,
        [2, 2] + [0] * 15,
        [0] * 15 + [5, 5],
        [0] * 16 + [4],
        list(range(17)),
    ],
)
def test_quantiles_equal_those_of_prometheus(
    prometheus: Prometheus, counts: list[int], share: float
) -> None:
    series = " or ".join(
        f'label_replace(vector({below}), "le", "{bound}", "", "")'
        for bound, below in zip(BOUNDS, accumulate(counts), strict=True)
    )
    reported = prometheus.query(f"histogram_quantile({share}, {series})")
    assert reported == {json.dumps({}): pytest.approx(quantile(share, SECONDS, counts))}
