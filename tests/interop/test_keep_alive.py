"""A proxy never sends a request on a connection that the service is closing.

nginx retries a GET in that case, but not a POST, which might be counted twice: it is a 502.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from tests.interop.conftest import address
from tests.interop.proxy import Nginx
from tests.support.pictures import SEVEN
from tests.support.running import Service

CLIENTS = 32
BURST = 100  # requests
BURSTS = 3


@pytest.mark.parametrize(
    ("settings", "proxy_keeps", "pause"),
    [
        pytest.param({}, "60s", 5.0, id="defaults"),
        pytest.param({"keep_alive": 2}, "1s", 1.0, id="a second longer than the proxy"),
    ],
)
def test_bursts_are_answered_after_any_pause(
    store: Store, tmp_path: Path, settings: dict[str, Any], proxy_keeps: str, pause: float
) -> None:
    """The pauses are those after which a server or a proxy closes with these settings."""
    with (
        Service.started(store.folder.parent, **settings) as service,
        Nginx.started(address(service), tmp_path, keepalive_timeout=proxy_keeps) as nginx,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        clients = [nginx.client() for _ in range(CLIENTS)]
        statuses: Counter[int] = Counter()
        for burst in range(BURSTS):
            if burst:
                time.sleep(pause)
            statuses.update(threads.map(_share, clients))
        for client in clients:
            client.close()
    assert statuses.keys() == {200}


def _share(client: HTTPConnection) -> int:
    """Post one client's share of a burst; return the worst status."""
    worst = 0
    for _ in range(BURST // CLIENTS):
        client.request("POST", "/v1/predict", SEVEN, {"Content-Type": "image/png"})
        response = client.getresponse()
        response.read()
        worst = max(worst, response.status)
    return worst
