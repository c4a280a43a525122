"""A service with two versions, the second of which serves, and a Prometheus that scrapes it."""

from collections.abc import Iterator

import pytest

from contract.store import Store
from contract.version import Version
from tests.monitoring.prometheus import Prometheus
from tests.support.running import TOKEN, Service, wait_until
from tests.support.versions import two_versions


@pytest.fixture(scope="session")
def watched(
    published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    store = two_versions(published, tmp_path_factory.mktemp("models"))
    store.activate(2)
    with Service.started(
        store.folder.parent,
        admin_token=TOKEN,
        otlp_endpoint="http://127.0.0.1:9",  # where nothing listens
        trace_sample=0,
    ) as service:
        yield service


@pytest.fixture(scope="session")
def prometheus(watched: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus.started(watched, tmp_path_factory.mktemp("prometheus")) as prometheus:
        wait_until(lambda: 1.0 in prometheus.query('up{job="digitserve"}').values(), watched)
        yield prometheus
