"""How many replicas the autoscaler wants, from the series that Prometheus would have.

promtool evaluates the queries of the chart; the rest is the formula of the HorizontalPodAutoscaler:
the sum divided by the target of a replica, rounded up, the largest of all metrics, within bounds.
"""

import json
import subprocess
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import ROOT, Manifest, find, render
from tests.monitoring.binaries import PROMTOOL

ADAPTER = yaml.safe_load((ROOT / "deploy/helm/prometheus-adapter.yml").read_text())
KEDA = find("ScaledObject", render("object-store-keda"))["spec"]
HPA = find("HorizontalPodAutoscaler", render("claim-hpa"))["spec"]
TRIGGERS = {each["name"]: each["metadata"] for each in KEDA["triggers"]}
METRICS = {
    each["pods"]["metric"]["name"]: each["pods"]["target"]["averageValue"]
    for each in HPA["metrics"]
}
STEP = 15  # seconds between samples


def series(metric: str, a_second: float, **labels: str) -> Manifest:
    """A counter that rises evenly."""
    labels = {"namespace": "ml", "service": "d-digitserve", "pod": "a"} | labels
    selector = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return {"series": f"{metric}{{{selector}}}", "values": f"0+{a_second * STEP:g}x20"}


def requests(a_second: float, **labels: str) -> Manifest:
    labels = {"method": "POST", "route": "/v1/predict", "code": "200"} | labels
    return series("digitserve_http_requests_total", a_second, **labels)


def waiting(images: float, **labels: str) -> Manifest:
    """By Little's law: the seconds waited in a second are the images that wait."""
    return series("digitserve_queue_wait_seconds_sum", images, **labels)


def evaluates(
    folder: Path, query: str, input_series: list[Manifest], samples: list[Manifest]
) -> None:
    """promtool must find exactly these samples after five minutes."""
    case = {"expr": query, "eval_time": "5m", "exp_samples": samples}
    test = {"interval": f"{STEP}s", "input_series": input_series, "promql_expr_test": [case]}
    path = folder / "test.yml"
    path.write_text(json.dumps({"tests": [test]}))
    done = subprocess.run([PROMTOOL, "test", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def sample(value: float, labels: str = "{}") -> list[Manifest]:
    return [{"labels": labels, "value": value}]


def desired(requests_a_second: float, images: float, bounds: tuple[int, int]) -> int:
    wanted = max(
        ceil(requests_a_second / float(TRIGGERS["requests"]["threshold"])),
        ceil(images / float(TRIGGERS["waiting"]["threshold"])),
    )
    return min(max(wanted, bounds[0]), bounds[1])


def test_predictions_of_all_replicas_count_whatever_their_outcome(tmp_path: Path) -> None:
    input_series = [
        requests(2000, pod="a"),
        requests(1000, pod="b"),
        requests(500, pod="b", route="/v2/models/{model}/infer"),
        requests(40, pod="b", code="503"),  # refused for lack of capacity
    ]
    evaluates(tmp_path, TRIGGERS["requests"]["query"], input_series, sample(3540))


def test_other_routes_methods_and_releases_do_not_count(tmp_path: Path) -> None:
    input_series = [
        requests(100),
        requests(900, route="/metrics", method="GET"),
        requests(900, route="/v1/predict", method="OPTIONS"),
        requests(900, service="other-digitserve"),
        requests(900, namespace="staging"),
    ]
    evaluates(tmp_path, TRIGGERS["requests"]["query"], input_series, sample(100))


def test_the_guard_is_the_mean_number_of_images_that_wait(tmp_path: Path) -> None:
    input_series = [
        waiting(134.5, pod="a"),
        waiting(2.75, pod="b"),
        waiting(900, namespace="staging"),
    ]
    evaluates(tmp_path, TRIGGERS["waiting"]["query"], input_series, sample(137.25))


def test_a_replica_without_any_prediction_counts_as_zero(tmp_path: Path) -> None:
    up = {"series": 'up{namespace="ml", service="d-digitserve", pod="a"}', "values": "1x20"}
    evaluates(tmp_path, TRIGGERS["requests"]["query"], [up], sample(0))
    evaluates(tmp_path, TRIGGERS["waiting"]["query"], [waiting(0)], sample(0))


def test_no_replica_is_no_measurement_and_not_zero(tmp_path: Path) -> None:
    for trigger in TRIGGERS.values():
        evaluates(tmp_path, trigger["query"], [requests(900, namespace="staging")], [])
        assert trigger["ignoreNullValues"] == "false"  # then KEDA uses fallback.replicas


@pytest.mark.parametrize(
    ("requests_a_second", "images", "replicas"),
    [
        (0, 0, 3),  # never fewer than minReplicas
        (7_200, 8, 3),
        (7_201, 8, 4),
        (24_000, 27, 10),
        (24_000, 600, 19),  # requests that cost more than measured: the guard
        (5_000, 96, 3),
        (500_000, 9_000, 20),  # never more than maxReplicas
    ],
)
def test_the_larger_demand_decides(requests_a_second: float, images: float, replicas: int) -> None:
    bounds = KEDA["minReplicaCount"], KEDA["maxReplicaCount"]
    assert desired(requests_a_second, images, bounds) == replicas


def test_both_autoscalers_have_the_same_targets() -> None:
    assert {
        "digitserve_requests_per_second": TRIGGERS["requests"]["threshold"],
        "digitserve_waiting_images": TRIGGERS["waiting"]["threshold"],
    } == METRICS
    assert {each["metricType"] for each in KEDA["triggers"]} == {"AverageValue"}
    assert {each["pods"]["target"]["type"] for each in HPA["metrics"]} == {"AverageValue"}


def test_the_adapter_provides_the_metrics_of_each_pod(tmp_path: Path) -> None:
    input_series = [requests(40, pod="a"), requests(60, pod="b"), requests(9, route="/v1/status"),
               waiting(2.5, pod="a"), waiting(3.5, pod="b")]  # fmt: skip
    expected = {"digitserve_requests_per_second": (40, 60), "digitserve_waiting_images": (2.5, 3.5)}
    rules = {each["name"]["as"]: each for each in ADAPTER["rules"]["custom"]}
    assert rules.keys() == expected.keys() == METRICS.keys()
    for name, (a, b) in expected.items():
        query = (
            rules[name]["metricsQuery"]
            .replace("<<.Series>>", rules[name]["seriesQuery"].partition("{")[0])
            .replace("<<.LabelMatchers>>", 'namespace="ml", pod=~"a|b"')
            .replace("<<.GroupBy>>", "pod")
        )
        evaluates(tmp_path, query, input_series, [*sample(a, '{pod="a"}'), *sample(b, '{pod="b"}')])


def test_neither_cpu_nor_the_gauge_of_the_queue_decides() -> None:
    """The CPU is busy at any load; the gauge shows the arrivals of the moment of the scrape."""
    text = json.dumps([KEDA, HPA, ADAPTER])
    assert "digitserve_queue_depth" not in text
    assert "cpu" not in text
    assert {each["type"] for each in KEDA["triggers"]} == {"prometheus"}


def test_a_dead_prometheus_does_not_shrink_the_service() -> None:
    assert KEDA["fallback"]["replicas"] == KEDA["maxReplicaCount"] == 20
    assert find("ScaledObject", render("everything"))["spec"]["fallback"]["replicas"] == 5


@pytest.mark.parametrize("values", ["object-store-keda", "claim-hpa", "everything"])
def test_an_autoscaled_deployment_has_no_number_of_replicas(values: str) -> None:
    """An upgrade would reset it."""
    assert "replicas" not in find("Deployment", render(values))["spec"]
    assert find("Deployment", render("claim"))["spec"]["replicas"] == 3


def test_a_lull_of_five_minutes_is_awaited_before_replicas_are_removed() -> None:
    behaviors: list[Any] = [
        HPA["behavior"],
        KEDA["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
    ]
    for behavior in behaviors:
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300
        assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_the_autoscaler_changes_the_deployment_of_the_release() -> None:
    name = find("Deployment", render())["metadata"]["name"]
    assert HPA["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert KEDA["scaleTargetRef"] == {"name": name}
