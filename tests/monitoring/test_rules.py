"""Every alert is valid, tested, documented, and uses metrics that the service exposes."""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.binaries import PROMTOOL
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.rules import ALERTS, FOLDER, PROOFS, RECORDED, cases, metrics_in, sections
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.running import Service, wait_until
from tests.support.tensors import HEADER, document, post

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
RUNBOOK = sections()


def promtool(*words: str) -> None:
    """Run promtool, which must report no problem."""
    done = subprocess.run([PROMTOOL, *words], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def exposed(service: Service) -> set[str]:
    """Names of all series that exist, or will exist as soon as there is something to count."""
    families = text_string_to_metric_families(fetch.get(f"{service.url}/metrics").text)
    return {
        family.name + suffix for family in families for suffix in SUFFIXES.get(family.type, [""])
    }


def test_promtool_accepts_the_configuration_and_its_rules() -> None:
    promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")


@pytest.mark.parametrize("proof", PROOFS, ids=lambda path: path.name)
def test_every_test_case_of_the_rules_passes(proof: Path) -> None:
    promtool("test", "rules", proof.name)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_before_during_and_after_firing(alert: str) -> None:
    stories: dict[str, list[tuple[int, bool]]] = {}
    for case in cases():
        if case.alert == alert:
            stories.setdefault(case.story, []).append((case.seconds, case.fires))
    seen = ["".join("quiet" if not fires else "FIRES" for _, fires in sorted(story))
            for story in stories.values()]  # fmt: skip
    assert any(re.fullmatch(r"(quiet)+(FIRES)+(quiet)+", story) for story in seen), seen


def test_only_existing_alerts_have_test_cases() -> None:
    assert {case.alert for case in cases()} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_severity_summary_value_and_runbook(alert: str) -> None:
    labels, notes = ALERTS[alert]["labels"], ALERTS[alert]["annotations"]
    assert labels["severity"] in ("page", "ticket")
    assert notes["summary"]
    assert re.search(r"\d|\$value", notes["description"])
    page, _, anchor = notes["runbook_url"].partition("#")
    assert page == "{{ $externalLabels.runbook }}"  # prometheus.yml sets it
    section = RUNBOOK[anchor].lower()
    assert labels["severity"] in section
    assert "```sh" in section, "where to look first"
    assert "resolves" in section, "when it ends"


def test_every_section_of_the_runbook_belongs_to_an_alert() -> None:
    anchors = list(RUNBOOK)
    reported = set(anchors[anchors.index("alerts") + 1 :])
    pages = {alert["annotations"]["runbook_url"].partition("#")[2] for alert in ALERTS.values()}
    assert reported == pages


def test_rules_and_runbook_use_only_exposed_metrics(watched: Service) -> None:
    texts = [*RECORDED.values(), *(alert["expr"] for alert in ALERTS.values()), *RUNBOOK.values()]
    used = set().union(*map(metrics_in, texts))
    assert used - exposed(watched) - set(RECORDED) == set()


def test_the_objectives_count_requests_of_a_real_service_correctly(
    watched: Service, prometheus: Prometheus
) -> None:
    """Valid and invalid images alternate; no request fails."""

    def half_are_accepted() -> bool:
        for body in (SEVEN, b"no picture"):
            fetch.post(f"{watched.url}/v1/predict", content=body)
        fetch.get(f"{watched.url}/v1/status")  # not a prediction: it is not counted
        share = "digitserve:requests_accepted:per_minute / (60 * digitserve:requests:rate2m)"
        return any(0.4 < value < 0.6 for value in prometheus.query(share).values())

    wait_until(half_are_accepted, watched)
    whole_budget = "digitserve:availability_budget:ratio_30d == 1"
    wait_until(lambda: prometheus.query(whole_budget), watched)


def test_deadlines_set_by_clients_use_no_error_budget(
    watched: Service, prometheus: Prometheus
) -> None:
    late = 'rate(digitserve_http_requests_total{code="504"}[1m])'

    def many_were_late() -> bool:
        head = document(parameters={"timeout": 1})
        answer = post(watched, head + bytes(784), **{HEADER: len(head)})
        assert answer.status_code == 504
        return any(value > 0 for value in prometheus.query(late).values())

    wait_until(many_were_late, watched)
    own = "digitserve_client_deadline_total > 0"
    wait_until(lambda: prometheus.query(own), watched)
    assert set(prometheus.query("digitserve:requests_failed:per_minute").values()) == {0.0}


def test_a_real_prometheus_stores_the_exemplar_of_a_request(
    watched: Service, prometheus: Prometheus
) -> None:
    """Prometheus requests OpenMetrics by default."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    fetch.post(f"{watched.url}/v1/predict", content=SEVEN, headers=headers).raise_for_status()
    series = 'digitserve_http_request_duration_seconds_bucket{route="/v1/predict", version="2"}'
    wait_until(lambda: {"trace_id": trace} in prometheus.exemplars(series), watched)


@pytest.mark.parametrize("recorded", RECORDED)
def test_a_real_prometheus_evaluates_the_recording_rules(
    recorded: str, watched: Service, prometheus: Prometheus
) -> None:
    fetch.post(f"{watched.url}/v1/predict", content=SEVEN).raise_for_status()
    wait_until(lambda: prometheus.query(recorded), watched)
