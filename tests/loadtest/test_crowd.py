"""Several client processes are one client that takes more than one core."""

import pytest

from loadtest import crowd
from loadtest.request import picture
from tests.loadtest.tiny import reply, tiny


def test_what_all_processes_were_told_is_added_up() -> None:
    with tiny(lambda number: reply(503 if number % 2 else 200)) as server:
        load = crowd.ask(server.address, [picture(b"one")], connections=3, seconds=0.2, threads=2)
    assert load.connections == 3
    assert load.answers == len(server.heard) > 3
    assert load.good + load.refused == load.answers
    assert load.broken == 0
    assert 0 < load.p50 <= load.p99 <= load.slowest
    assert load.client_cpu > 0


@pytest.mark.parametrize(("connections", "processes"), [(8, 2), (64, 3), (2, 2)])
def test_connections_are_shared_evenly(connections: int, processes: int) -> None:
    shares = crowd.shares(connections, processes)
    assert (len(shares), sum(shares)) == (processes, connections)
    assert max(shares) - min(shares) <= 1
