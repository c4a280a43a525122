"""Range queries, as a dashboard sends them to Prometheus."""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.monitoring.prometheus import Prometheus
from tests.support.program import PATIENCE


@dataclass(frozen=True)
class Series:
    labels: dict[str, str]
    points: list[tuple[float, float]]  # seconds since 1970, value


def along(
    prometheus: Prometheus, question: str, began: float, ended: float, step: float
) -> list[Series]:
    """All series in the result, with a point for each step that has a value."""
    found = _fetch(prometheus, "query_range", query=question, start=began, end=ended, step=step)
    return [
        Series(each["metric"], [(float(at), float(value)) for at, value in each["values"]])
        for each in found["result"]
    ]


def label_values(prometheus: Prometheus, metric: str, label: str) -> set[str]:
    """The values that a variable of a dashboard offers."""
    return {series[label] for series in _fetch(prometheus, "series", **{"match[]": metric})}


def wait_for(prometheus: Prometheus, question: str) -> None:
    """Until the query has a result."""
    deadline = time.monotonic() + PATIENCE
    while not prometheus.query(question):
        assert time.monotonic() < deadline, f"{question} has no answer\n{prometheus.log}"
        time.sleep(0.1)


def _fetch(prometheus: Prometheus, what: str, **parameters: object) -> Any:
    url = f"{prometheus.url}/api/v1/{what}?{urlencode(parameters)}"
    with urlopen(url, timeout=PATIENCE) as response:
        return json.load(response)["data"]
