"""Hosts for the tests of this folder, which need root: `make test-scale`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.client.requests import SampleImages
from tests.scale.figures import Figures
from tests.scale.hosts import Host, hosts

REPLICAS, BALANCER, STORE, CLIENT = (1, 2, 3), 4, 5, 9  # numbers of hosts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", type=Path, help="write what was measured to this Markdown file")
    parser.addoption(
        "--seconds", type=float, default=12.0, help="duration of each load; default: 12"
    )
    parser.addoption(
        "--rate", type=float, default=100.0, help="requests a second of each load; default: 100"
    )

    parser.addoption(
        "--image",
        default="digitserve-service:latest",
        help="image of the service for Swarm; default: %(default)s",
    )


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Iterator[Figures]:
    """What the tests measure; it is printed, and written to --figures."""
    found = Figures()
    yield found
    print(f"\n{found.text}")
    if path := pytestconfig.getoption("--figures"):
        found.write(path, " ".join(["pytest", *pytestconfig.invocation_params.args]))


@pytest.fixture(scope="session")
def network() -> Iterator[dict[int, Host]]:
    """Three hosts for replicas, others for a balancer, an object store and clients, by number."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as Ctrl-C does
    if os.geteuid() != 0:
        pytest.fail("these tests need root, to make hosts (network namespaces)")
    with hosts([*REPLICAS, BALANCER, STORE, CLIENT]) as made:
        yield {host.number: host for host in made}


@pytest.fixture(scope="session")
def images(published: tuple[Store, Version]) -> SampleImages:
    """Test images that the committed version classifies correctly."""
    return SampleImages.of_current(published[0].folder.parent, "digits")
