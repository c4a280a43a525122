"""A service that attacks aim at, and each proxy in front of it.

`make test-interop` runs the tests of this folder: they need programs that may not be installed.
"""

from collections.abc import Iterator

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.interop.proxy import PROXIES, Proxy
from tests.support.running import TOKEN, Service
from tests.support.versions import two_versions


def address(service: Service) -> str:
    return httpx2.URL(service.url).netloc.decode()


@pytest.fixture(scope="session")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Version 1 is current, and a version 2 can be activated."""
    return two_versions(published, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def service(store: Store) -> Iterator[Service]:
    """A service whose admin routes accept the admin token."""
    with Service.started(store.folder.parent, admin_token=TOKEN) as service:
        yield service


@pytest.fixture(scope="session", params=PROXIES, ids=lambda kind: kind.name)
def proxy(
    request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Configured as in its manual, in front of the shared service."""
    kind: type[Proxy] = request.param
    with kind.started(address(service), tmp_path_factory.mktemp(kind.name)) as proxy:
        yield proxy
