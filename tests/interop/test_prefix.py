"""Behind a proxy that terminates TLS and publishes the service under /digits/, by TCP or a socket.

Clients connect from 127.0.0.2, so that their address differs from that of the proxy.
"""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest

from contract.store import Store
from tests.interop.certificate import write_certificate
from tests.interop.conftest import address
from tests.interop.proxy import Caddy, Nginx, Proxy
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import Service, wait_until

CLIENT = "127.0.0.2"
FORGED = "203.0.113.9"


@pytest.fixture(scope="module")
def prefixed(store: Store) -> Iterator[Service]:
    """A service that trusts its proxy."""
    with Service.started(
        store.folder.parent,
        root_path="/digits",
        trusted_proxies="127.0.0.1",
        access_log="all",
    ) as service:
        yield service


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=lambda kind: kind.name)
def browser(
    request: pytest.FixtureRequest, prefixed: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx2.Client]:
    """A client of the proxy whose base address is the published one, over TLS."""
    kind: type[Proxy] = request.param
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(folder)
    values = {
        Nginx: {"listen": f"ssl; ssl_certificate {certificate}; ssl_certificate_key {key}"},
        Caddy: {"scheme": "https", "tls": f"tls {certificate} {key}"},
    }[kind]
    trusted = ssl.create_default_context(cafile=str(certificate))
    with (
        kind.started(address(prefixed), folder, prefix="/digits", **values) as proxy,
        httpx2.Client(
            base_url=f"https://127.0.0.1:{proxy.port}/digits/",
            transport=httpx2.HTTPTransport(verify=trusted, local_address=CLIENT),
            timeout=PATIENCE,
        ) as client,
    ):
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
    prefixed: Service, browser: httpx2.Client, path: str
) -> None:
    """Whatever the client claims: the proxy appends the real address, or replaces the claim."""
    answer = browser.post(path, content=SEVEN, headers={"X-Forwarded-For": FORGED})
    assert _client_of(answer, prefixed) == CLIENT


def test_forwarded_addresses_of_other_clients_are_ignored(prefixed: Service) -> None:
    with httpx2.Client(transport=httpx2.HTTPTransport(local_address=CLIENT)) as client:
        headers = {"X-Forwarded-For": FORGED, "X-Forwarded-Proto": "https"}
        answer = client.post(f"{prefixed.url}/v1/predict", content=SEVEN, headers=headers)
    assert _client_of(answer, prefixed) == CLIENT


def test_nginx_reaches_a_service_on_a_unix_socket(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    with (
        Service.started(
            store.folder.parent, uds=path, trusted_proxies="unix", access_log="all"
        ) as service,
        Nginx.started(str(path), tmp_path) as nginx,
        httpx2.Client(transport=httpx2.HTTPTransport(local_address=CLIENT)) as client,
    ):
        answer = client.post(f"{nginx.url}/v1/predict", content=SEVEN)
        assert answer.json()["predictions"][0]["label"] == "7"
        assert _client_of(answer, service) == CLIENT


def _client_of(answer: httpx2.Response, service: Service) -> str:
    """The client in the access log line of the request with this response."""
    request_id = answer.headers["X-Request-ID"]

    def lines() -> list[str]:
        return [
            event["client"] for event in service.events if event.get("request_id") == request_id
        ]

    wait_until(lines, service)
    return lines()[0]
