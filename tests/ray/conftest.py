"""Hosts for the tests of this folder, which need root: `make test-ray`."""

import os
import signal
from collections.abc import Iterator

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.client.requests import SampleImages
from loadtest.report.document import as_text
from tests.ray.cluster import PROGRAMS
from tests.scale.hosts import Host, hosts

NODES, REPLICAS, BALANCER, CLIENT = (1, 2), (3, 4), 5, 9  # numbers of hosts
Row = tuple[str, str, str, str]
MEASURED = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    rows: list[Row] = [("mode of Ray", "what", "", "")]
    config.stash[MEASURED] = rows


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    terminalreporter.write_line(as_text([*config.stash[MEASURED]]))


@pytest.fixture(scope="session")
def network() -> Iterator[dict[int, Host]]:
    """Hosts for Ray's nodes, replicas without Ray, a balancer, and clients, by number."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as Ctrl-C does
    if os.geteuid() != 0:
        pytest.fail("these tests need root, to make hosts (network namespaces)")
    if not (PROGRAMS / "serve").exists():
        pytest.fail(f"{PROGRAMS}/serve is missing: make test-ray installs it")
    with hosts([*NODES, *REPLICAS, BALANCER, CLIENT]) as made:
        yield {host.number: host for host in made}


@pytest.fixture(scope="session")
def images(published: tuple[Store, Version]) -> SampleImages:
    """Test images that the committed version classifies correctly."""
    return SampleImages.of_current(published[0].folder.parent, "digits")
