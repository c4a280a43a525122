"""Three replicas as processes on three hosts behind a balancer on a fourth: what a fault costs.

The load goes on during each fault: an open loop, in which every label is checked.
"""

import shutil
import signal
from collections.abc import Callable, Iterator

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.client.requests import SampleImages
from tests.scale.conftest import BALANCER, CLIENT, REPLICAS
from tests.scale.figures import Figures
from tests.scale.hosts import Host
from tests.scale.load import Client
from tests.scale.processes import Fleet, wait_until_balanced, wait_until_served
from tests.support.versions import give_a_newer_schema, publish

REPEATED, LONGER = 200_000, 300_000  # bytes of a body; the balancer's buffer lies between
SLOW_TURN = 0.5  # seconds, for most of which a slow replica does not run
SLOWEST = 5.0  # seconds; an answer takes less than one, but machines may be busy
SETTINGS = {"watch_seconds": 0.5, "drain_seconds": 3, "threads": 1}


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Version 1 is current."""
    models = tmp_path_factory.mktemp("fleet") / "models"
    shutil.copytree(published[0].folder, models / "digits")
    return Store(models, "digits")


@pytest.fixture(scope="module")
def running(
    network: dict[int, Host], store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    hosts, caches = [network[number] for number in REPLICAS], tmp_path_factory.mktemp("caches")
    models = store.folder.parent
    with Fleet(hosts, network[BALANCER], models, caches, **SETTINGS).started() as fleet:
        yield fleet


@pytest.fixture
def client(
    running: Fleet, network: dict[int, Host], images: SampleImages, pytestconfig: pytest.Config
) -> Client:
    rate, seconds = pytestconfig.getoption("--rate"), pytestconfig.getoption("--seconds")
    return Client(network[CLIENT], running.address, images, rate, seconds)


@pytest.fixture
def fleet(running: Fleet, client: Client) -> Fleet:
    """With all replicas behind the balancer."""
    wait_until_balanced(client, len(REPLICAS), lambda: running.logs)
    return running


@pytest.mark.parametrize("size", [0, REPEATED], ids=["small", "200 kB"])
def test_a_killed_replica_loses_no_request(
    fleet: Fleet, client: Client, figures: Figures, size: int
) -> None:
    with client.load(size) as load:
        kill_and_start_again(fleet, load.until, load.seconds)
    figures.add("processes", "a replica killed (-9), started again", load)
    assert not load.lost, load.summary


def test_the_kill_of_a_replica_loses_few_bodies_that_the_balancer_cannot_send_again(
    fleet: Fleet, client: Client, figures: Figures
) -> None:
    with client.load(LONGER) as load:
        kill_and_start_again(fleet, load.until, load.seconds)
    figures.add("processes", "the same, bodies longer than the balancer's buffer", load)
    assert load.lost <= client.rate / 10, load.summary


def test_replacing_each_replica_in_turn_loses_no_request(
    fleet: Fleet, client: Client, figures: Figures
) -> None:
    with client.load(REPEATED) as load:
        for number, host in enumerate(fleet.hosts, 1):
            fleet.stop(host, signal.SIGTERM)
            fleet.start(host)
            load.until(load.seconds * number / 4)
    figures.add("processes", "each replica stopped (SIGTERM) and started in turn", load)
    assert not load.lost, load.summary


def test_a_pulled_cable_loses_no_request(fleet: Fleet, client: Client, figures: Figures) -> None:
    with client.load() as load:
        load.until(load.seconds / 4)
        fleet.hosts[1].plug(connected=False)
        load.until(load.seconds * 3 / 4)
        fleet.hosts[1].plug(connected=True)
    figures.add("processes", "the cable of a replica's host pulled", load)
    assert not load.lost, load.summary


def test_a_slow_replica_loses_no_request(fleet: Fleet, client: Client, figures: Figures) -> None:
    """As on a machine whose cores are busy: it runs for a tenth of the time."""
    replica = fleet.replicas[fleet.hosts[2]]
    with client.load() as load:
        for turn in range(int(load.seconds / 2 / SLOW_TURN)):
            load.until(load.seconds / 4 + turn * SLOW_TURN)
            replica.send(signal.SIGSTOP)
            load.until(load.seconds / 4 + (turn + 0.9) * SLOW_TURN)
            replica.send(signal.SIGCONT)
    figures.add("processes", "a replica slow (it runs for a tenth of the time)", load)
    assert not load.lost, load.summary
    assert load.slowest < SLOWEST, load.summary


def test_a_replica_that_hangs_loses_no_request(
    fleet: Fleet, client: Client, figures: Figures
) -> None:
    replica = fleet.replicas[fleet.hosts[2]]
    with client.load() as load:
        load.until(load.seconds / 4)
        replica.send(signal.SIGSTOP)
    # Between DIGITSERVE_REQUEST_TIMEOUT and the balancer's timeout it would answer 504.
    replica.send(signal.SIGCONT)
    figures.add("processes", "a replica hangs (SIGSTOP)", load)
    assert not load.lost, load.summary


def test_all_replicas_follow_a_switch_of_versions_without_loss(
    fleet: Fleet, client: Client, figures: Figures, store: Store, version: Version
) -> None:
    with client.load() as load:
        load.until(load.seconds / 4)
        store.activate(publish(store, version))
        wait_until_served(str(store.current()), fleet, client)
    figures.add("processes", "another version of the model activated in the store", load)
    assert not load.lost, load.summary


def test_replicas_that_cannot_read_a_newer_version_serve_the_one_before(
    fleet: Fleet, client: Client, figures: Figures, store: Store, version: Version
) -> None:
    """As after a rollback of the image; one of them starts anew."""
    before, newer = store.current(), publish(store, version)
    store.activate(newer)
    give_a_newer_schema(store, newer)
    with client.load() as load:
        for host in fleet.hosts[:2]:
            fleet.stop(host, signal.SIGTERM)
            fleet.start(host)
    figures.add("processes", "replicas restarted, the current version is of a newer release", load)
    store.activate(before)
    assert not load.lost, load.summary


def test_replicas_serve_while_the_store_is_unreachable(
    fleet: Fleet, client: Client, figures: Figures, store: Store
) -> None:
    away = store.folder.with_name("away")
    with client.load() as load:
        load.until(load.seconds / 4)
        store.folder.rename(away)
        load.until(load.seconds * 3 / 4)
        away.rename(store.folder)
    figures.add("processes", "the model store unreachable", load)
    assert not load.lost, load.summary


def kill_and_start_again(fleet: Fleet, until: Callable[[float], None], seconds: float) -> None:
    until(seconds / 4)
    fleet.stop(fleet.hosts[0], signal.SIGKILL)
    until(seconds / 2)
    fleet.start(fleet.hosts[0])
