"""Rules, dashboards and the scrape are those of deploy/prometheus and deploy/grafana."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import CHART, ROOT, find, render
from tests.monitoring.binaries import PROMTOOL

NUMBERS = "numbers_of_the_deployment"


def groups(values: str = "everything") -> dict[str, Any]:
    found = find("PrometheusRule", render(values))["spec"]["groups"]
    assert len({each["name"] for each in found}) == len(found)
    return {each["name"]: each for each in found}


def test_the_chart_has_the_rules_and_alerts_of_the_project() -> None:
    runbook = "{{ $externalLabels.runbook }}"  # of Prometheus' own configuration
    source = [
        group
        for name in ("recording", "alerts")
        for group in yaml.safe_load(
            (ROOT / f"deploy/prometheus/{name}.yml")
            .read_text()
            .replace(runbook, "https://example.com/runbook")
        )["groups"]
    ]
    found = groups()
    assert list(found) == [group["name"] for group in source]
    assert [found[group["name"]] for group in source if group["name"] != NUMBERS] == [
        group for group in source if group["name"] != NUMBERS
    ]


def test_the_files_of_the_chart_are_links_to_the_only_source() -> None:
    assert (CHART / "files/alerts.yml").resolve() == ROOT / "deploy/prometheus/alerts.yml"
    assert (CHART / "files/recording.yml").resolve() == ROOT / "deploy/prometheus/recording.yml"
    assert (CHART / "files/dashboards").resolve() == ROOT / "deploy/grafana/dashboards"


@pytest.mark.parametrize(
    ("values", "capacity", "memory", "replicas"),
    [("everything", 6000, 2 * 2**30, 2), ("object-store-keda", 4000, 2**30, 3)],
)
def test_the_numbers_are_those_of_the_deployment(
    values: str, capacity: int, memory: int, replicas: int
) -> None:
    up = 'count(up{job="digitserve"} == 1)'
    known = {
        "digitserve:capacity:requests_per_second": f"{capacity} * {up}",
        "digitserve:memory_limit:bytes": f"vector({memory})",
        "digitserve:replicas:expected": f"vector({replicas})",
    }
    for rule in groups(values)[NUMBERS]["rules"]:
        assert rule["expr"] == known[rule["record"]]


def test_the_capacity_follows_the_number_of_replicas(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [groups()[NUMBERS]]}))
    up = [
        {"series": f'up{{job="digitserve", instance="{instance}"}}', "values": f"{value}x20"}
        for instance, value in (("a", 1), ("b", 1), ("c", 0))
    ]
    expected = [{"labels": "digitserve:capacity:requests_per_second", "value": 12000}]
    case = {
        "expr": "digitserve:capacity:requests_per_second",
        "eval_time": "5m",
        "exp_samples": expected,
    }
    test = {"interval": "15s", "input_series": up, "promql_expr_test": [case]}
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]})
    )
    done = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rendered_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": list(groups().values())}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", "--lint=all", "--lint-fatal", path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scrape_is_named_as_rules_and_dashboards_select_it() -> None:
    monitor = find("ServiceMonitor", render("everything"))
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert endpoint["relabelings"] == [
        {"action": "replace", "targetLabel": "job", "replacement": "digitserve"}
    ]
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert endpoint["interval"] == prometheus["global"]["scrape_interval"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_each_replica_is_scraped_once() -> None:
    manifests = render("everything")
    selected = find("ServiceMonitor", manifests)["spec"]["selector"]["matchLabels"].items()
    matching = [
        each["metadata"]["name"]
        for each in manifests
        if each["kind"] == "Service" and selected <= each["metadata"]["labels"].items()
    ]
    assert matching == ["digits"]


def test_grafana_gets_the_dashboards_of_the_project() -> None:
    for path in (ROOT / "deploy/grafana/dashboards").glob("*.json"):
        found = find("ConfigMap", render("everything"), f"digits-dashboard-{path.stem}")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        (text,) = found["data"].values()
        assert json.loads(text) == json.loads(path.read_text())
