"""The service on a Ray cluster of two hosts, and what that costs beside the service without Ray."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.bench.measure import Tool
from loadtest.client.requests import PREDICT, SampleImages
from loadtest.client.result import Address
from preprocessing.encoding import png_of
from tests.fixtures import Judged
from tests.ray.cluster import Cluster
from tests.ray.conftest import BALANCER, CLIENT, MEASURED, NODES, REPLICAS
from tests.scale.hosts import Host
from tests.scale.load import Client
from tests.scale.processes import PORT, Fleet, balancer, wait_until_balanced

MODES = {
    "its proxy": {},
    "HAProxy": {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
}
RATE = 20.0  # requests a second of the load during the kill
CONNECTIONS, ROUNDS, SECONDS = 64, 3, 3.0
PNG = {"Content-Type": "image/png"}
Write = Callable[[str, str, str], None]


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def cluster(
    mode: str, network: dict[int, Host], published: tuple[Store, Version]
) -> Iterator[Cluster]:
    models, nodes = published[0].folder.parent, [network[number] for number in NODES]
    variables = MODES[mode] | {"DIGITSERVE_THREADS": "1"}
    with (
        TemporaryDirectory(prefix="ray-") as folder,
        Cluster(nodes, models, Path(folder), variables).started() as started,
    ):
        yield started


@pytest.fixture
def client(cluster: Cluster, network: dict[int, Host], images: SampleImages) -> Client:
    """Of the head node's proxy."""
    return Client(network[CLIENT], cluster.address(cluster.hosts[0]), images, RATE, 12.0)


@pytest.fixture
def write(mode: str, pytestconfig: pytest.Config) -> Write:
    """Adds a row to what is printed at the end."""
    rows = pytestconfig.stash[MEASURED]
    return lambda what, value, more: rows.append((mode, what, value, more))


def test_each_node_answers_with_the_predictions_of_pytorch(
    cluster: Cluster, judged: Judged
) -> None:
    for host in cluster.hosts:
        with cluster.client(host) as request:
            answers = [
                request("POST", PREDICT, content=png_of(image), headers=PNG)
                for image in judged.pixels[:20]
            ]
        found = [answer.json()["predictions"][0]["index"] for answer in answers]
        assert found == judged.digits[:20].tolist()


def test_a_response_has_one_request_id(cluster: Cluster) -> None:
    head, other = cluster.hosts
    with cluster.client(head) as request:
        answer = request("GET", "/readyz", headers={"X-Request-ID": "of-the-client"})
    assert answer.headers.get_list("X-Request-ID") == ["of-the-client"]
    with cluster.client(other) as request:
        assert len(request("GET", "/readyz").headers.get_list("X-Request-ID")) == 1


def test_a_killed_node_loses_few_requests_and_has_a_replica_again_when_it_is_back(
    cluster: Cluster, client: Client, network: dict[int, Host], write: Write
) -> None:
    """With the balancer of deploy/haproxy in front of both nodes."""
    front = network[BALANCER]
    behind = replace(client, address=Address(front.address, PORT))
    with balancer(front, cluster.hosts) as running:
        wait_until_balanced(behind, len(NODES), lambda: running.log)
        with behind.load() as load:
            load.until(load.seconds / 3)
            cluster.kill(cluster.hosts[1])
        write("a node killed: lost, of", str(load.lost), str(load.requests))
        assert load.lost < RATE, load.summary
        cluster.start(cluster.hosts[1])
        cluster.wait_until_served()


def test_what_ray_costs(
    cluster: Cluster,
    client: Client,
    network: dict[int, Host],
    published: tuple[Store, Version],
    tmp_path: Path,
    write: Write,
) -> None:
    """Throughput of each way in turn, and memory; no assertion but that none is refused."""
    alone, models = [network[number] for number in REPLICAS], published[0].folder.parent
    with Fleet(alone, network[BALANCER], models, tmp_path, threads=1).started() as fleet:
        wait_until_balanced(replace(client, address=fleet.address), 2, lambda: fleet.logs)
        ways = {
            "one process without Ray": Address(alone[0].address, PORT),
            "two behind deploy/haproxy": fleet.address,
            "two on Ray": client.address,
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, address in ways.items():
                rates[way].append(throughput(client, address))
    for way, found in rates.items():
        write(f"requests a second, {way}", f"{median(found):,.0f}", ranged(found))
    for name, memory in (("idle", cluster.idle), ("serving", cluster.memory())):
        head, other = (f"{each / 1e6:,.0f}" for each in memory)
        write(f"MB of the head node and of the other one, {name}", head, other)


def throughput(client: Client, address: Address) -> float:
    """Answers a second to a closed loop of many connections."""
    requests, tool = client.images.requests, Tool.found("auto")
    with client.host.executor() as executor:
        load = executor.submit(
            tool.run_load, address, requests, connections=CONNECTIONS, seconds=SECONDS
        ).result()
    assert not load.refused, load
    assert not load.broken, load
    return load.rate


def ranged(values: list[float]) -> str:
    return f"{min(values):,.0f} to {max(values):,.0f}"
