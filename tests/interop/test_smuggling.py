"""Behind a proxy, no client gets the response to a request hidden in the body of another client."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest

from tests.interop.attack import ANSWER, UPGRADES, attacks, send_behind
from tests.interop.innocent import Innocent
from tests.interop.proxy import Haproxy, Proxy
from tests.support.running import ADMIN, Service, status

CLIENTS = 100
AT_ONCE = 8
EACH_TIME = 8  # clients that send requests during an attack, and as many after it


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield threads


@pytest.fixture
def version_one(service: Service) -> Iterator[None]:
    """Version 1 serves again after the test, whatever happened."""
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
def test_no_body_after_an_offered_upgrade_becomes_a_request(
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
        during = threads.map(Innocent.send, islice(turns, EACH_TIME))
        with proxy.connect() as connection:
            received = attack.send(connection)
            after = threads.map(Innocent.send, islice(turns, EACH_TIME))
            problems = [each for each in (*during, *after) if each is not None]
            received += send_behind(connection)
        if b"digitserve_" in received:
            problems.append("the attacker reads the metrics")
        if not isinstance(proxy, Haproxy) and ANSWER not in received.lower():
            problems.append(f"the service never saw the attack: {received[:200]!r}")
        if status(service)["model"]["version"] != "1":
            problems.append("the attacker switched the version")
        wrong += [f"{problem} ({attack})" for problem in problems]
    assert wrong == []
    everybody = threads.map(Innocent.send, innocents)
    assert [problem for problem in everybody if problem is not None] == []
