"""Each proxy of examples/proxies publishes two services over TLS, under a path of its own.

Clients connect from 127.0.0.2, so that their address differs from that of the proxy.
"""

import re
import signal
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import psutil
import pytest

from tests.examples.proxies import PUBLISHED, Published
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service, wait_until

CLIENT = "127.0.0.2"
FORGED = "203.0.113.9"
POSTS = 60  # one after the other
DRAIN = 3  # seconds; twice as long as a proxy needs to notice that a service stops
PNG = {"Content-Type": "image/png"}

each_proxy = pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.name)


@contextmanager
def published(
    kind: type[Published], models: Path, folder: Path, **settings: object
) -> Iterator[tuple[Published, tuple[Service, Service]]]:
    """A proxy in front of two services that trust it."""
    settings |= {"root_path": "/digits", "trusted_proxies": "127.0.0.1", "access_log": "all"}
    settings["admin_token"] = TOKEN
    with ExitStack() as stack:
        first, second = (stack.enter_context(Service.started(models, **settings)) for _ in range(2))
        proxy = stack.enter_context(kind.published([first, second], folder))
        yield proxy, (first, second)


def client_of(proxy: Published) -> httpx2.Client:
    """A client whose base address is the published one."""
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    return httpx2.Client(
        base_url=f"https://127.0.0.1:{proxy.port}/digits/",
        transport=httpx2.HTTPTransport(verify=trusted, local_address=CLIENT),
        timeout=PATIENCE,
    )


@pytest.fixture(scope="module", params=PUBLISHED, ids=lambda kind: kind.name)
def running(
    request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Published, tuple[Service, Service]]]:
    with published(request.param, models, tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="module")
def services(running: tuple[Published, tuple[Service, Service]]) -> tuple[Service, Service]:
    return running[1]


@pytest.fixture(scope="module")
def browser(running: tuple[Published, tuple[Service, Service]]) -> Iterator[httpx2.Client]:
    with client_of(running[0]) as client:
        yield client


@pytest.mark.parametrize("page", ["", "docs"])
def test_a_page_and_everything_it_loads_are_published(browser: httpx2.Client, page: str) -> None:
    answer = browser.get(page)
    assert answer.status_code == 200
    loaded = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"'#]+)["']""", answer.text)
    addresses = [urljoin(str(answer.url), each) for each in loaded]
    ours = [each for each in addresses if each.startswith("https://127.0.0.1")]
    there = [each for each in ours if not each.endswith("/metrics")]  # which the proxy forbids
    assert there
    assert {each: browser.get(each).status_code for each in there} == dict.fromkeys(there, 200)


def test_the_server_address_in_the_openapi_document_has_the_prefix(browser: httpx2.Client) -> None:
    document: Any = browser.get("openapi.json").json()
    assert [server["url"] for server in document["servers"]] == ["/digits"]
    base = urljoin(str(browser.base_url), document["servers"][0]["url"])
    answer = browser.post(
        f"{base}/v1/predict", content=SEVEN, headers={"Content-Type": "image/png"}
    )
    assert answer.json()["predictions"][0]["label"] == "7"


def test_a_double_prefix_does_not_bypass_the_proxy(browser: httpx2.Client) -> None:
    assert browser.get("metrics").status_code == 403
    assert browser.get("digits/metrics").status_code == 404


def test_a_redirect_keeps_the_prefix_and_tls(browser: httpx2.Client) -> None:
    answer = browser.get("v1/status/", follow_redirects=True)
    assert str(answer.url) == f"{browser.base_url}v1/status"
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["v1/predict", "livez"])
def test_the_log_has_the_client_address_seen_by_the_proxy(
    services: tuple[Service, Service], browser: httpx2.Client, path: str
) -> None:
    """Whatever the client claims: the proxy appends the real address, or replaces the claim."""
    headers = {"X-Forwarded-For": FORGED, "X-Request-ID": f"by-the-proxy-{path[:2]}"}
    # Without a body where it is refused: Caddy may cut off an answer that precedes the body's end.
    content = SEVEN if path == "v1/predict" else b""
    answer = browser.post(path, content=content, headers=headers)
    assert _client_of(answer, services) == CLIENT


def test_forwarded_addresses_of_other_clients_are_ignored(
    services: tuple[Service, Service],
) -> None:
    with httpx2.Client(transport=httpx2.HTTPTransport(local_address=CLIENT)) as client:
        headers = {"X-Forwarded-For": FORGED, "X-Request-ID": "directly"}
        answer = client.post(f"{services[0].url}/v1/predict", content=SEVEN, headers=headers)
    assert _client_of(answer, services) == CLIENT


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "metrics"),
        ("GET", "%6detrics"),
        ("POST", "v1/models/digits/rollback"),
        ("POST", "v1/models/digits/versions/1/activate"),
        ("POST", "v2/repository/models/digits/load"),
        ("POST", "v1/retrain"),
        ("GET", "v1/runs"),
        ("GET", "v1/feedback"),
        ("POST", "v1/feedback/00/accept"),
    ],
)
def test_metrics_and_admin_routes_are_not_published(
    browser: httpx2.Client, method: str, path: str
) -> None:
    assert browser.request(method, path, headers=ADMIN).status_code == 403


def test_connections_to_the_services_are_kept_open(
    services: tuple[Service, Service], browser: httpx2.Client
) -> None:
    """Health checks open connections of their own, one a second."""
    ports = {httpx2.URL(service.url).port for service in services}

    def closed() -> int:
        return sum(
            1
            for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_TIME_WAIT and {each.laddr.port, each.raddr.port} & ports
        )

    before = closed()
    for _ in range(POSTS):
        assert browser.post("v1/predict", content=SEVEN, headers=PNG).status_code == 200
    assert closed() - before < POSTS / 2


@each_proxy
def test_a_restart_of_one_service_loses_no_prediction(
    models: Path, tmp_path: Path, kind: type[Published]
) -> None:
    with (
        published(kind, models, tmp_path, drain_seconds=DRAIN) as (proxy, (first, _)),
        client_of(proxy) as client,
        posting(client) as statuses,
    ):
        wait_until(lambda: statuses[200] > 0, proxy)
        first.send(signal.SIGTERM)
        assert first.exit_code() == 0
        answered = statuses[200]
        wait_until(lambda: statuses[200] > answered + POSTS, proxy)
    assert statuses.keys() == {200}


@contextmanager
def posting(client: httpx2.Client) -> Iterator[Counter[int]]:
    """The statuses of the images that two threads post until the end of the block."""
    statuses: Counter[int] = Counter()
    ended = threading.Event()

    def post() -> None:
        while not ended.wait(0.01):
            statuses[client.post("v1/predict", content=SEVEN, headers=PNG).status_code] += 1

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _client_of(answer: httpx2.Response, services: tuple[Service, ...]) -> str:
    """The client in the access log line of the request with this response."""
    request_id = answer.headers["X-Request-ID"]

    def lines() -> list[str]:
        events = (event for service in services for event in service.events)
        return [event["client"] for event in events if event.get("request_id") == request_id]

    wait_until(lines, services[0])
    return lines()[0]
