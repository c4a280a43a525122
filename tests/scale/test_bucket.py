"""Replicas whose model store is a bucket on a host of its own, which becomes unreachable."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.location import location_of
from contract.settings import Access
from contract.store import Store, open_store
from contract.version import Version
from loadtest.client.requests import SampleImages
from tests.scale.conftest import BALANCER, CLIENT, REPLICAS, STORE
from tests.scale.figures import Figures
from tests.scale.hosts import Host
from tests.scale.load import Client
from tests.scale.processes import Fleet, wait_until_balanced, wait_until_served
from tests.support.object_store import ObjectServer
from tests.support.versions import publish

URL = "s3://bucket/models"
SETTINGS = {"watch_seconds": 0.5, "drain_seconds": 3, "threads": 1, "store_timeout": 2}


@pytest.fixture
def store(
    network: dict[int, Host], version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """As the publisher sees it, whose way to the bucket is always open; version 1 is current."""
    with network[STORE].executor() as executor:
        there = executor.submit(ObjectServer, network[STORE].address).result()
    with there, there.running(), ObjectServer.started() as here:
        here.objects, here.written = there.objects, there.written
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        access = Access(cache=tmp_path / "publisher", timeout=10, allow_http=True)
        store = open_store(location_of(URL), "digits", access=access)
        store.activate(publish(store, version))
        for name, value in there.environment.items():
            monkeypatch.setenv(name, value)
        yield store


def test_replicas_serve_and_start_while_the_bucket_is_unreachable(
    network: dict[int, Host],
    store: Store,
    version: Version,
    images: SampleImages,
    figures: Figures,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    hosts = [network[number] for number in REPLICAS]
    rate, seconds = pytestconfig.getoption("--rate"), pytestconfig.getoption("--seconds")
    with Fleet(hosts, network[BALANCER], URL, tmp_path, **SETTINGS).started() as fleet:
        client = Client(network[CLIENT], fleet.address, images, rate, seconds)
        wait_until_balanced(client, len(REPLICAS), lambda: fleet.logs)
        with client.load() as load:
            load.until(load.seconds / 4)
            network[STORE].plug(connected=False)
            fleet.stop(hosts[0], signal.SIGTERM)
            fleet.start(hosts[0])  # from its copy
            store.activate(publish(store, version))
            load.until(load.seconds * 3 / 4)
            network[STORE].plug(connected=True)
            wait_until_served("2", fleet, client)
    figures.add("processes", "the bucket unreachable, a replica restarted meanwhile", load)
    assert not load.lost, load.summary
