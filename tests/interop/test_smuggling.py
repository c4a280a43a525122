"""Behind a proxy, nobody gets the answer to a request that another client's body holds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest

from tests.interop.attack import ANSWER, UPGRADES, ask_behind, attacks
from tests.interop.innocent import Innocent
from tests.interop.proxy import Haproxy, Proxy
from tests.support.running import ADMIN, Service, status

CLIENTS = 100
AT_ONCE = 8
EACH_TIME = 8  # clients that ask during an attack, and as many after it


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield threads


@pytest.fixture
def version_one(service: Service) -> Iterator[None]:
    """Served again after the test, whatever became of it."""
    yield
    with service.client(headers=ADMIN) as client:
        client.post("/v1/models/digits/versions/1/activate").raise_for_status()


@pytest.fixture(scope="module")
def innocents(proxy: Proxy) -> Iterator[list[Innocent]]:
    clients = [Innocent(proxy, number) for number in range(CLIENTS)]
    yield clients
    for client in clients:
        client.connection.close()


def test_the_proxy_forbids_the_metrics(proxy: Proxy) -> None:
    client = proxy.client()
    client.request("GET", "/metrics")
    assert client.getresponse().status == 403
    client.close()


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_no_body_behind_an_offered_upgrade_becomes_a_request(
    proxy: Proxy,
    service: Service,
    innocents: list[Innocent],
    version_one: None,
    threads: ThreadPoolExecutor,
    upgrade: str,
) -> None:
    turns = cycle(innocents)
    wrong: list[str] = []
    for attack in attacks(upgrade):
        during = threads.map(Innocent.ask, islice(turns, EACH_TIME))
        with proxy.connect() as connection:
            received = attack.send(connection)
            after = threads.map(Innocent.ask, islice(turns, EACH_TIME))
            complaints = [each for each in (*during, *after) if each is not None]
            received += ask_behind(connection)
        if b"digitserve_" in received:
            complaints.append("the attacker reads the metrics")
        if not isinstance(proxy, Haproxy) and ANSWER not in received.lower():
            complaints.append(f"the service never saw the attack: {received[:200]!r}")
        if status(service)["model"]["version"] != "1":
            complaints.append("the attacker switched the version")
        wrong += [f"{complaint} ({attack})" for complaint in complaints]
    assert wrong == []
    everybody = threads.map(Innocent.ask, innocents)
    assert [complaint for complaint in everybody if complaint is not None] == []
