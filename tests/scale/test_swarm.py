"""The Swarm stack on three hosts with an engine each, its balancer on a fourth, clients on a fifth.

The load goes on during each fault: an open loop, in which every label is checked.
"""

import shutil
from collections.abc import Iterator

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.client.requests import SampleImages
from loadtest.client.result import Address
from tests.docker.engine import wait_until
from tests.scale.conftest import BALANCER, CLIENT, REPLICAS
from tests.scale.engines import Swarm, engines
from tests.scale.figures import Figures
from tests.scale.hosts import Host
from tests.scale.load import Client
from tests.scale.stack import Stack, activate_with, build_next
from tests.support.versions import give_a_newer_schema, publish

NEXT = "digitserve-service:next-release"
ROLLING = 120.0  # seconds of load while all replicas are replaced
REPEATED = 200_000  # bytes of a body


@pytest.fixture(scope="module")
def image(pytestconfig: pytest.Config) -> str:
    name: str = pytestconfig.getoption("--image")
    build_next(name, NEXT)
    return name


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Version 1 is current. Every node mounts this folder, as if from a file server."""
    models = tmp_path_factory.mktemp("swarm") / "models"
    shutil.copytree(published[0].folder, models / "digits")
    return Store(models, "digits")


@pytest.fixture(scope="module")
def stack(
    network: dict[int, Host], store: Store, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("engines")
    hosts = [network[number] for number in (*REPLICAS, BALANCER)]
    with engines(hosts, folder, [image, NEXT, "haproxy:3.0"]) as started:
        yield Stack(Swarm(started), store.folder.parent, image, folder)


@pytest.fixture
def client(
    stack: Stack, network: dict[int, Host], images: SampleImages, pytestconfig: pytest.Config
) -> Client:
    """All replicas are healthy, and the balancer answers."""
    stack.wait_until_healthy(len(REPLICAS))
    address = Address(network[BALANCER].address, 8000)
    rate, seconds = pytestconfig.getoption("--rate"), pytestconfig.getoption("--seconds")
    client = Client(network[CLIENT], address, images, rate, seconds)
    wait_until(lambda: client.get("/readyz").status_code == 200, lambda: stack.state)
    return client


def test_a_killed_container_loses_no_request(
    stack: Stack, client: Client, figures: Figures
) -> None:
    name, engine = next(iter(stack.replicas.items()))
    with client.load(REPEATED) as load:
        load.until(load.seconds / 4)
        engine.docker("kill", name)
    figures.add("Swarm", "docker kill of a replica; Swarm starts another", load)
    assert not load.lost, load.summary


def test_a_container_that_hangs_loses_no_request(
    stack: Stack, client: Client, figures: Figures
) -> None:
    name, engine = next(iter(stack.replicas.items()))
    with client.load() as load:
        load.until(load.seconds / 4)
        engine.docker("pause", name)
    engine.docker("unpause", name)
    figures.add("Swarm", "docker pause of a replica", load)
    assert not load.lost, load.summary


def test_all_replicas_follow_a_switch_of_versions_without_loss(
    stack: Stack, client: Client, figures: Figures, store: Store, version: Version
) -> None:
    with client.load() as load:
        load.until(load.seconds / 4)
        store.activate(publish(store, version))
        wait_until(lambda: served(stack) == {str(store.current())}, stack.statuses)
    figures.add("Swarm", "another version of the model activated in the store", load)
    assert not load.lost, load.summary


def test_a_rolling_update_of_the_image_and_back_loses_no_request(
    stack: Stack, client: Client, figures: Figures, store: Store, version: Version, image: str
) -> None:
    """The next release publishes a version that this one cannot read."""
    before = str(store.current())
    with client.load(REPEATED, ROLLING) as load:
        stack.update(NEXT)
    figures.add("Swarm", "rolling update of all replicas to the next image", load)
    assert not load.lost, load.summary
    assert stack.images() == {NEXT}

    newer = publish(store, version)
    give_a_newer_schema(store, newer)
    activate_with(NEXT, store.folder.parent, newer)
    wait_until(lambda: served(stack) == {str(newer)}, stack.statuses)

    with client.load(REPEATED, ROLLING) as load:
        stack.roll_back()
    figures.add("Swarm", "image rolled back, the current version is of the next release", load)
    assert not load.lost, load.summary
    assert stack.images() == {image}
    assert served(stack) == {before}
    assert all("newer than" in each["last_swap"]["reason"] for each in stack.statuses())


def test_the_pulled_cable_of_the_leader_loses_no_request(
    stack: Stack, client: Client, figures: Figures
) -> None:
    """Last, because the swarm takes some time to recover."""
    host = stack.swarm.leader.host
    with client.load(seconds=3 * client.seconds) as load:
        load.until(load.seconds / 6)
        host.plug(connected=False)
    host.plug(connected=True)
    figures.add("Swarm", "the cable of the leader's host pulled", load)
    assert not load.lost, load.summary


def served(stack: Stack) -> set[str]:
    """The versions that the replicas serve."""
    return {each["model"]["version"] for each in stack.statuses()}
