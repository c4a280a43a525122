"""HEAD, OPTIONS, methods that a path does not allow, and trailing slashes."""

import re

import httpx2
import pytest

from tests.support import fetch
from tests.support.connection import connected, request
from tests.support.pictures import SEVEN
from tests.support.running import Service

READ = [
    "/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics", "/web/main.js", "/v1/status",
    "/v1/models", "/v1/models/digits", "/v1/models/digits/versions/1", "/v1/samples/random",
    "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/digits", "/v2/models/digits/ready",
]  # fmt: skip
PREDICTS = [
    "/v1/predict", "/v1/models/digits/versions/1/predict", "/v2/models/digits/infer",
    "/v2/models/digits/versions/1/infer",
]  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_head_is_answered_like_get_without_the_body(service: Service, path: str) -> None:
    with service.client() as client:
        whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    changing = {"date", "x-request-id", "content-length"} if path == "/metrics" else {"date"}
    if path.startswith("/v1/"):  # these depend on the time or on the sample
        changing |= {"content-length", "x-label"}
    assert {*head.headers} == {*whole.headers}
    for name in {*whole.headers} - changing - {"x-request-id"}:
        assert head.headers[name] == whole.headers[name]


def test_head_of_a_stream_ends(service: Service) -> None:
    response = fetch.head(f"{service.url}/v1/live", timeout=10)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"


def test_head_leaves_the_connection_usable(service: Service) -> None:
    head = b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(service) as connection:
        connection.send(head + request())
        while b"\r\n\r\n" not in (answers := connection.socket.recv(65536)):
            pass
        assert answers.startswith(b"HTTP/1.1 200")
        assert b"alive" not in answers


@pytest.mark.parametrize("path", PREDICTS)
def test_prediction_routes_reject_head(service: Service, path: str) -> None:
    response = fetch.head(service.url + path)
    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        *((path, "GET, HEAD, OPTIONS") for path in READ),
        *((path, "OPTIONS, POST") for path in PREDICTS),
        ("/v1/models/digits/rollback", "OPTIONS, POST"),
        ("/v2/repository/index", "OPTIONS, POST"),
    ],
)
def test_options_and_405_list_the_same_methods(service: Service, path: str, allow: str) -> None:
    options = fetch.options(service.url + path)
    refused = fetch.delete(service.url + path)
    assert (options.status_code, options.headers["Allow"]) == (204, allow)
    assert (refused.status_code, refused.headers["Allow"]) == (405, allow)
    assert refused.json() if not path.startswith("/v2") else "error" in refused.json()


def test_options_of_the_whole_server_are_answered(service: Service) -> None:
    with connected(service) as connection:
        connection.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, _ = connection.answer()
    assert (status, headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_a_health_check_of_http_1_0_without_a_host_succeeds(service: Service) -> None:
    with connected(service) as connection:  # sent by `option httpchk` of HAProxy
        connection.send(b"OPTIONS / HTTP/1.0\r\n\r\n")
        assert connection.answer()[0] == 204
        assert connection.closed()


def test_options_of_an_unknown_path_is_404(service: Service) -> None:
    assert fetch.options(f"{service.url}/nowhere").status_code == 404


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("method", ["BREW", "get", "PROPFIND", "PURGE"])
def test_an_unknown_method_is_501(service: Service, method: str, pieces: int) -> None:
    with connected(service) as connection:
        sent = f"{method} /livez HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        connection.send(*([sent] if pieces == 1 else [sent[:2], sent[2:]]))
        status, headers, body = connection.answer()
    assert (status, headers["content-type"]) == (501, "application/problem+json")
    assert pieces == 2 or method.encode() in body


def test_connect_is_501_and_nothing_after_it_is_read(service: Service) -> None:
    with connected(service) as connection:
        connection.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n" + request())
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (501, "close")
        assert connection.closed()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v2/", "/v2"),
        ("/livez/", "/livez"),
        ("/docs/", "/docs"),
        ("/v1/predict/?top_k=1", "/v1/predict?top_k=1"),
        ("/v1/models/?limit=1", "/v1/models?limit=1"),
        ("/v2/models/digits/infer/", "/v2/models/digits/infer"),
        ("/v1/models/digits/versions/1/predict/", "/v1/models/digits/versions/1/predict"),
    ],
)
def test_a_trailing_slash_is_redirected_with_a_relative_reference(
    service: Service, path: str, found: str
) -> None:
    response = fetch.post(service.url + path, content=b"")
    assert response.status_code == 308  # with the same method and body
    location = response.headers["Location"]
    assert location.startswith("../")
    assert httpx2.URL(service.url + path).join(location) == httpx2.URL(service.url + found)


@pytest.mark.parametrize("path", ["//", "/livez//", "/nowhere/", "//example.org/", "/web/", "/v1/"])
def test_a_trailing_slash_of_an_unknown_path_is_404(service: Service, path: str) -> None:
    with connected(service) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.answer()[0] == 404


def test_an_escaped_slash_is_not_a_slash(service: Service) -> None:
    for path in ("/livez%2F", "/v1/models/digits%2F"):
        with connected(service) as connection:
            connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.answer()[0] == 404


def test_garbage_after_a_request_is_400(service: Service) -> None:
    with connected(service) as connection:
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n5\r\nhello\r\n")
        assert connection.answer()[0] == 200
        assert connection.answer()[0] == 400


@pytest.mark.parametrize("hosts", ["", "Host: x\r\nHost: x\r\n"], ids=["none", "two"])
@pytest.mark.parametrize("path", ["/livez", "/metrics", "/v1/predict"])
def test_a_request_has_exactly_one_host(service: Service, path: str, hosts: str) -> None:
    method, size = ("POST", len(SEVEN)) if path == "/v1/predict" else ("GET", 0)
    head = f"{method} {path} HTTP/1.1\r\n{hosts}Content-Length: {size}\r\n\r\n".encode()
    with connected(service) as connection:
        connection.send(head + SEVEN[:size] + request())
        status, headers, body = connection.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert b"Host" in body
        assert connection.closed()


@pytest.mark.parametrize(
    "sent",
    [
        request(SEVEN, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(SEVEN, "Connection: Keep-Alive", path="/v1/%70redict").replace(b"1.1", b"1.0", 1),
        b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"GET /nowhere HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    ],
    ids=["predict", "predict through ASGI", "probe", "scrape", "error"],
)
def test_a_client_of_http_1_0_may_keep_its_connection(service: Service, sent: bytes) -> None:
    with connected(service) as connection:
        for _ in range(3):
            connection.send(sent)
            status, headers, _ = connection.answer()
            assert re.fullmatch("200|404", str(status))
            assert headers["connection"] == "keep-alive"


def test_the_connection_header_may_list_more_than_keep_alive(service: Service) -> None:
    with connected(service) as connection:
        for path in ("/livez", "/metrics"):
            lines = f"GET {path} HTTP/1.0\r\nHost: x\r\nConnection: keep-alive, TE\r\n\r\n"
            connection.send(lines.encode())
            assert connection.answer()[1]["connection"] == "keep-alive"


def test_responses_to_http_1_0_are_not_chunked(service: Service) -> None:
    path = "/static-offline-docs/swagger-ui-bundle.js"
    lines = "Accept-Encoding: gzip\r\nConnection: keep-alive"
    with connected(service) as connection:
        for _ in range(2):
            connection.send(f"GET {path} HTTP/1.0\r\nHost: x\r\n{lines}\r\n\r\n".encode())
            status, headers, body = connection.answer()
            assert status == 200
            assert "transfer-encoding" not in headers
            assert len(body) == int(headers["content-length"])
