"""A proxy on the same machine reaches a service on a Unix socket."""

from pathlib import Path

import httpx2

from contract.store import Store
from tests.interop.proxy import Nginx
from tests.support.pictures import SEVEN
from tests.support.running import Service, wait_until

CLIENT = "127.0.0.2"


def test_nginx_reaches_a_service_on_a_unix_socket(store: Store, tmp_path: Path) -> None:
    """The log has the address of the client of nginx, which the service trusts."""
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

        def clients() -> list[str]:
            request_id = answer.headers["X-Request-ID"]
            events = service.events
            return [each["client"] for each in events if each.get("request_id") == request_id]

        wait_until(clients, service)
        assert clients() == [CLIENT]
