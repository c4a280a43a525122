"""Behind a proxy: with a prefix, forwarded addresses and schemes, and on a Unix socket."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from service.errors import CannotStart
from service.http.forwarded import TrustedProxies
from service.http.scheduling import IDLE, IdleConnections
from service.settings import Settings
from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.marks import slow
from tests.support.pictures import SEVEN
from tests.support.running import TOKEN, Service, wait_until

SAMPLE = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def behind(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service that is published under /digits/v1 by proxies on this machine."""
    with Service.started(
        published[0].folder.parent,
        root_path="/digits/v1",
        trusted_proxies="127.0.0.1, 10.0.0.0/8",
        access_log="all",
        keep_alive=1,
        api_keys=TOKEN,
    ) as service:
        yield service


def test_only_the_proxy_removes_the_prefix(behind: Service) -> None:
    """Otherwise a path with a double prefix would evade a rule of the proxy for that path."""
    with behind.client(headers={"X-API-Key": TOKEN}) as client:
        assert client.get("/livez").status_code == 200
        for path in ("/livez", "/metrics", "/v1/status", "/"):
            refused = client.get(f"/digits/v1{path}")
            assert refused.status_code == 404
        assert "the proxy must remove /digits/v1" in refused.json()["detail"]
        assert client.post("/digits/v1/v1/predict", content=SEVEN).status_code == 404
    assert fetch.get(f"{behind.url}/digits/v1/livez").status_code == 404  # although no key was sent


def test_the_openapi_document_has_the_prefix(behind: Service, service: Service) -> None:
    assert fetch.get(f"{behind.url}/openapi.json").json()["servers"] == [{"url": "/digits/v1"}]
    assert "servers" not in fetch.get(f"{service.url}/openapi.json").json()


def client_in_log(service: Service, request_id: str) -> str | None:
    """The client in the access log line of a request, which is written by a thread."""

    def lines() -> list[dict[str, str]]:
        return [event for event in service.events if event.get("request_id") == request_id]

    wait_until(lines, service)
    return lines()[0].get("client")


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"], ids=["fast path", "ASGI"])
@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),  # the client claims the first
        (["203.0.113.7, 10.1.2.3"], "203.0.113.7"),  # via two trusted proxies
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["unknown"], "127.0.0.1"),
        (["fe80::1%a forged line"], "127.0.0.1"),
        (["203.0.113.7, _hidden, 10.1.2.3"], "10.1.2.3"),
        ([""], "127.0.0.1"),
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),  # in two headers, which form one list
    ],
)
def test_the_log_has_the_client_that_a_trusted_proxy_reports(
    behind: Service, path: str, forwarded: list[str], client: str
) -> None:
    request_id = re.sub(r"\W", "-", "".join([path, *forwarded]))
    lines = [f"X-Forwarded-For: {each}" for each in forwarded]
    with connected(behind) as connection:
        connection.send(
            request(SEVEN, f"X-Request-ID: {request_id}", f"X-API-Key: {TOKEN}", *lines, path=path)
        )
        assert connection.answer()[0] == 200
    assert client_in_log(behind, request_id) == client


def test_forwarded_headers_of_untrusted_clients_are_ignored(service: Service) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Request-ID": "forged"}
    fetch.get(f"{service.url}/v1/status", headers=headers)
    assert client_in_log(service, "forged") == "127.0.0.1"


def test_the_scheme_is_taken_from_a_trusted_proxy() -> None:
    proxies = TrustedProxies(Settings(trusted_proxies="10.0.0.0/8,unix").trusted_proxies)  # type: ignore[arg-type, call-arg]
    https = [(b"x-forwarded-proto", b"https")]
    assert proxies.scheme_of(("10.0.0.1", 1), https) == "https"
    assert proxies.scheme_of(("::ffff:10.0.0.1", 1), https) == "https"
    assert proxies.scheme_of(None, https) == "https"
    assert proxies.scheme_of(("10.0.0.1", 1), [(b"x-forwarded-proto", b"http, HTTPS")]) == "https"
    assert proxies.scheme_of(("10.0.0.1", 1), [*https, (b"x-forwarded-proto", b"http")]) == "http"
    assert proxies.scheme_of(("10.0.0.1", 1), []) == "http"
    assert proxies.scheme_of(("192.0.2.1", 1), https) == "http"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ROOT_PATH", "digits", "looks like /digits"),
        ("ROOT_PATH", "/digits/", "looks like /digits"),
        ("ROOT_PATH", "//example.org", "looks like /digits"),
        ("ROOT_PATH", "/a/../b", "looks like /digits"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("TRUSTED_PROXIES", "10.0.0.1, proxy", "'proxy' does not appear to be"),
        ("TRUSTED_PROXIES", ",", "it is set and names none"),
        ("KEEP_ALIVE", "0", "greater than 0"),
    ],
)
def test_the_error_about_an_invalid_setting_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"DIGITSERVE_{name}", value)
    with pytest.raises(CannotStart) as refused:
        Settings.from_environment()
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"DIGITSERVE_{name}=")
    assert reason in line


def test_the_idle_timeout_starts_anew_after_each_answer(
    behind: Service,
) -> None:
    sent = request(SEVEN, f"X-API-Key: {TOKEN}")
    with connected(behind) as connection:
        for _ in range(3):
            connection.send(sent[:-10])
            time.sleep(0.1)  # until the body is being awaited
            connection.send(sent[-10:])
            assert connection.answer()[0] == 200
            time.sleep(0.4)
        last = perf_counter()
        assert connection.closed()
    assert perf_counter() - last > 0.4


class Connection:
    def __init__(self, idle_since: float) -> None:
        self._idle_since = idle_since
        self.closed = False

    def idle_since(self) -> float:
        return self._idle_since

    def close_for_certain(self) -> None:
        self.closed = True


def test_only_connections_idle_for_a_while_are_closed_to_make_room() -> None:
    now = perf_counter()
    long, short, busy = Connection(now - IDLE - 1), Connection(now - 1), Connection(float("inf"))
    idle = IdleConnections()
    assert idle.close_some([busy, short, long]) == 1
    assert (busy.closed, short.closed, long.closed) == (False, False, True)


@pytest.mark.parametrize("workers", [1, slow(2)])
def test_the_service_listens_on_a_unix_socket(
    published: tuple[Store, Version], tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "service.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:  # left by a killed service
        left_behind.bind(str(path))
    with Service.started(
        published[0].folder.parent, uds=path, workers=workers, drain_seconds=0
    ) as service:
        assert f"--unix-socket {path}" in service.log
        with httpx2.Client(
            transport=httpx2.HTTPTransport(uds=str(path)), base_url="http://localhost"
        ) as client:
            for _ in range(4):
                assert client.post("/v1/predict", content=SEVEN, headers=SAMPLE).status_code == 200
            assert client.get("/livez").json() == {"alive": True}
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    assert not path.exists()


def test_a_file_in_place_of_the_socket_is_not_removed(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    path = tmp_path / "service.sock"
    with Service.started(published[0].folder.parent, uds=path, drain_seconds=0) as service:
        path.unlink()
        path.write_text("precious")
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    assert path.read_text() == "precious"


def test_the_error_names_a_socket_path_in_use(
    published: tuple[Store, Version], tmp_path: Path
) -> None:
    path = tmp_path / "service.sock"
    path.write_text("precious")
    service = Service(published[0].folder.parent, uds=path)
    assert service.exit_code() == 2
    assert f"cannot listen on {path}: there is another file" in service.log
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        service = Service(published[0].folder.parent, uds=path)
        assert service.exit_code() == 2
    assert "another program listens there; choose another path with DIGITSERVE_UDS" in service.log
