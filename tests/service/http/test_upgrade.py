"""A request that offers an upgrade is answered like the same request without the offer.

The service ignores upgrades, as RFC 9110 section 7.8 allows. What follows the head is the body of
that request, never another request, and the connection stays open.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.connection import Connection, connected, without_times
from tests.support.pictures import encoded, seven
from tests.support.running import Service

OFFERS = {
    "plain": "Connection: Upgrade\r\nUpgrade: anything\r\n",
    "lower case": "connection: upgrade\r\nupgrade: anything\r\n",
    "one of several": "Connection: keep-alive, Upgrade\r\nUpgrade: foo/2, bar\r\n",
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "without Connection": "Upgrade: h2c\r\n",
    "without Upgrade": "Connection: Upgrade\r\n",
}
PICTURE = encoded(seven(side=28))
TENSOR = {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "data": [0] * 784}
PIXELS = json.dumps({"inputs": [TENSOR]}).encode()
HIDDEN = b"\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: behind\r\n\r\n"
# Their responses contain the time, a counter or random values.
CHANGING = re.compile(r"/metrics|/v1/status|/v1/samples/random|/v2/models/.*/stats")
ENDLESS = "/v1/live"
COUNTS = "/v1/live/snapshot"  # differs from one request to the next


class Route(NamedTuple):
    method: str
    path: str

    @property
    def body(self) -> bytes:
        return PIXELS if self.path.endswith("/infer") else PICTURE


def written(route: Route, framing: str, offer: str = "", body: bytes | None = None) -> bytes:
    """A request whose body has a length, is in two chunks, or is absent."""
    body = route.body if body is None else body
    kind = "application/json" if route.path.endswith("/infer") else "image/png"
    head = f"{route.method} {route.path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n{offer}"
    if framing == "none":
        return f"{head}\r\n".encode()
    head += f"Content-Type: {kind}\r\n"
    if framing == "length":
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    parts = body[:7], body[7:], b""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks


def answered(connection: Connection, path: str) -> tuple[int, dict[str, str], bytes]:
    """The next response, without the headers that differ between any two."""
    status, headers, body = connection.answer()
    headers = without_times(headers)
    if CHANGING.fullmatch(path):
        headers.pop("content-length", None)
        headers.pop("x-label", None)
        body = b""
    return status, headers, body


def is_behind(answer: tuple[int, dict[str, str], bytes]) -> bool:
    """Whether it is the response to LIVEZ."""
    return answer[1]["x-request-id"] == "behind" and json.loads(answer[2]) == {"alive": True}


@pytest.fixture(scope="module")
def routes(service: Service) -> list[Route]:
    """All routes except for the endless stream."""
    with service.client() as client:
        paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    values = {"name": "digits", "model": "digits", "model_name": "digits", "version": "1"}
    pages = [Route("GET", path) for path in ("/", "/docs", "/openapi.json", "/web/page.css")]
    return pages + [
        Route(method.upper(), re.sub(r"\{(\w+)\}", lambda name: values.get(name[1], "x"), path))
        for path, operations in paths.items()
        for method in operations
        if path not in (ENDLESS, COUNTS)
    ]


@pytest.fixture
def other(service: Service) -> Iterator[Connection]:
    with connected(service) as connection:
        yield connection


def settle(other: Connection) -> None:
    """Make the service read what another connection has sent: it serves them in order."""
    other.send(LIVEZ)
    assert is_behind(other.answer())


@pytest.mark.parametrize("framing", ["none", "length", "chunked"])
def test_every_route_answers_as_without_the_offer(
    service: Service, routes: list[Route], framing: str
) -> None:
    wrong = []
    for route in routes:
        with connected(service) as connection:
            connection.send(written(route, framing) + LIVEZ)
            expected = answered(connection, route.path)
            assert is_behind(connection.answer())
            for name, offer in OFFERS.items():
                connection.send(written(route, framing, offer) + LIVEZ)
                found = answered(connection, route.path)
                if found != expected or not is_behind(connection.answer()):
                    wrong.append((route, name, found, expected))
    assert wrong == []


def test_the_event_stream_starts_as_without_the_offer(service: Service) -> None:
    for offer in OFFERS.values():
        with connected(service) as connection:
            connection.send(written(Route("GET", ENDLESS), "none", offer))
            status, headers, _ = connection.answer()
        assert (status, headers["content-type"]) == (200, "text/event-stream")


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"])
def test_an_image_after_an_offer_is_read(service: Service, path: str) -> None:
    for framing in ("length", "chunked"):
        for offer in OFFERS.values():
            with connected(service) as connection:
                connection.send(written(Route("POST", path), framing, offer))
                status, _, body = connection.answer()
            assert status == 200
            assert json.loads(body)["predictions"][0]["label"]


@pytest.mark.slow
def test_a_stream_of_offers_may_be_segmented_anywhere(service: Service, other: Connection) -> None:
    stream = (
        written(Route("POST", "/v1/predict"), "length", OFFERS["plain"])
        + written(Route("POST", "/v1/predict"), "chunked", OFFERS["h2c"])
        + LIVEZ
    )
    with connected(service) as connection:
        for at in range(1, len(stream)):
            connection.send(stream[:at])
            settle(other)
            connection.send(stream[at:])
            answers = [connection.answer() for _ in range(3)]
            assert [status for status, _, _ in answers] == [200, 200, 200], at
            assert is_behind(answers[2]), at


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict", "/livez", "/metrics", "/no"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_looks_like_a_request_is_not_one(
    service: Service, other: Connection, path: str, framing: str
) -> None:
    for offer in OFFERS.values():
        message = written(Route("POST", path), framing, offer, body=HIDDEN)
        with connected(service) as connection:
            for at in (len(message), message.index(b"\r\n\r\n") + 4, message.index(b"GET ")):
                connection.send(message[:at])
                settle(other)
                connection.send(message[at:])
                settle(other)
                connection.send(LIVEZ)
                status, headers, body = connection.answer()
                assert headers["x-request-id"] == "mine"
                assert status in (404, 405, 415, 422)
                assert b"digitserve_" not in body
                assert is_behind(connection.answer())


def test_a_large_body_after_an_offer_is_read_to_its_end(service: Service) -> None:
    body = b"\r\n" * 70_000 + HIDDEN
    with connected(service) as connection:
        for offer in OFFERS.values():
            connection.send(written(Route("POST", "/v1/predict"), "length", offer, body), LIVEZ)
            assert connection.answer()[0] == 422
            assert is_behind(connection.answer())


def test_offers_may_be_pipelined(service: Service) -> None:
    offered = [
        written(Route("POST", "/v1/predict"), framing, offer)
        for framing in ("length", "chunked")
        for offer in OFFERS.values()
    ]
    with connected(service) as connection:
        connection.send(b"".join(each + LIVEZ for each in offered))
        for _ in offered:
            assert connection.answer()[0] == 200
            assert is_behind(connection.answer())


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/%70redict"])
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_the_connection_ends_when_the_client_asks_for_it(
    service: Service, path: str, version: str
) -> None:
    close = "" if version == "HTTP/1.0" else "close, "
    offer = f"Connection: {close}Upgrade\r\nUpgrade: anything\r\n"
    message = written(Route("POST", path), "length", offer).replace(b"HTTP/1.1", version.encode())
    with connected(service) as connection:
        connection.send(message)
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert connection.closed()


@pytest.mark.parametrize("offer", ["", *OFFERS.values()], ids=["none", *OFFERS])
def test_a_tunnel_is_rejected_and_nothing_after_it_is_a_request(
    service: Service, offer: str
) -> None:
    """CONNECT is not supported: this is no proxy, and the head does not describe what follows."""
    for length in ("", f"Content-Length: {len(HIDDEN)}\r\n"):
        with connected(service) as connection:
            connection.send(f"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n{offer}{length}\r\n".encode())
            connection.send(HIDDEN)
            status, headers, _ = connection.answer()
            assert (status, headers["connection"]) == (501, "close")
            assert connection.closed()
