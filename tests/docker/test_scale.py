"""docker-compose.scale.yml: several replicas behind the balancer, each of them monitored."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.docker import engine
from tests.docker.conftest import SCALED
from tests.docker.engine import wait_until
from tests.docker.stack import Stack
from tests.docker.test_stack import PNG, query
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE

REPLICAS = 2


class ScaledStack(Stack):
    @property
    def url(self) -> str:
        return f"http://{self.compose('port', 'balancer', '8000').strip()}"

    @property
    def replicas(self) -> list[str]:
        """The ids of the containers that run."""
        return self.compose("ps", "--quiet", "service").split()


@pytest.fixture(scope="module")
def scaled(images: None) -> Iterator[ScaledStack]:
    stack = ScaledStack(SCALED, REPLICAS=str(REPLICAS))
    try:
        stack.up()
        stack.healthy(stack.container("balancer")["Id"])
        yield stack
    finally:
        stack.down()


def test_a_killed_replica_is_not_noticed_by_clients(scaled: ScaledStack) -> None:
    killed = scaled.replicas[0]
    with httpx2.Client(base_url=scaled.url, timeout=PATIENCE) as client:
        for number in range(200):
            if number == 50:
                engine.docker("kill", killed)
            answer = client.post("/v1/predict", content=SEVEN, headers=PNG)
            assert answer.status_code == 200
    engine.docker("start", killed)


def test_prometheus_scrapes_every_replica_and_the_balancer(scaled: ScaledStack) -> None:
    wait_until(
        lambda: query(scaled, 'count(up{job="digitserve"} == 1)') == REPLICAS,
        lambda: scaled.logs,
    )
    wait_until(lambda: query(scaled, 'up{job="balancer"}') == 1, lambda: scaled.logs)
    up = 'haproxy_backend_active_servers{proxy="replicas"}'
    wait_until(lambda: query(scaled, up) == REPLICAS, lambda: scaled.logs)


def test_metrics_and_admin_routes_are_not_published(scaled: ScaledStack) -> None:
    assert fetch.get(f"{scaled.url}/metrics").status_code == 403
    rollback = f"{scaled.url}/v1/models/digits/rollback"
    assert fetch.post(rollback).status_code == 403
    published = [engine.inspect(name)["HostConfig"]["PortBindings"] for name in scaled.replicas]
    assert published == [{}] * REPLICAS
