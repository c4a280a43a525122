"""docker-compose.alerts.yml: an Alertmanager that Prometheus sends its alerts to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.conftest import ALERTED
from tests.docker.engine import ROOT, wait_until
from tests.docker.stack import Stack
from tests.docker.test_stack import query

EXAMPLE = ROOT / "deploy/alertmanager/receivers.example.yml"


@pytest.fixture
def alerted(tmp_path: Path) -> Iterator[Stack]:
    """Prometheus and Alertmanager alone, which need none of our images."""
    receivers = tmp_path / "receivers.yml"  # as a copy: user 65534 must be able to read it
    receivers.write_bytes(EXAMPLE.read_bytes())
    stack = Stack(ALERTED, ALERT_RECEIVERS=str(receivers))
    try:
        stack.compose("up", "--detach", "--no-deps", "alertmanager", "prometheus")
        yield stack
    finally:
        stack.down()


def test_prometheus_reaches_the_alertmanager_with_the_receivers_of_the_example(
    alerted: Stack,
) -> None:
    alerted.healthy(alerted.container("alertmanager")["Id"])
    discovered = "prometheus_notifications_alertmanagers_discovered"
    wait_until(lambda: query(alerted, discovered) == 1, lambda: alerted.logs)
    address = "--url=http://alertmanager:9093"  # as in deploy/alertmanager/targets.yml
    alerted.compose("exec", "-T", "prometheus", "promtool", "check", "ready", address)
    amtool = ("amtool", "--alertmanager.url=http://127.0.0.1:9093", "config", "routes", "test")
    chosen = alerted.compose("exec", "-T", "alertmanager", *amtool, "severity=page")
    assert chosen.strip() == "on-call"
