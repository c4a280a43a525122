"""HTTP over a plain socket: exact bytes of requests, and the responses to them."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import Service


def request(body: bytes = SEVEN, *lines: str, path: str = "/v1/predict") -> bytes:
    """A plain prediction request, as most clients send it."""
    head = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: image/png", *lines]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Connection:
    """A socket with a buffer for responses."""

    def __init__(self, service: Service) -> None:
        url = httpx2.URL(service.url)
        self.socket = socket.create_connection((url.host, url.port or 80), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # send without delay
        self._rest = b""

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next response."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        while len(self._rest) < int(headers.get("content-length", 0)):
            self._rest += self._more()
        size = int(headers.get("content-length", 0))
        body, self._rest = self._rest[:size], self._rest[size:]
        return int(first.split()[1]), headers, body

    def closed(self) -> bool:
        """Whether the server has closed it, or reset it because of unread data."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> bytes:
        more = self.socket.recv(65536)
        assert more, f"closed after {self._rest!r}"
        return more


@contextmanager
def connected(service: Service) -> Iterator[Connection]:
    connection = Connection(service)
    with connection.socket:
        yield connection


def without_times(headers: dict[str, str]) -> dict[str, str]:
    times = r"\d+\.\d+|\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"  # lengths, and the date
    return {name: re.sub(times, "t", value) for name, value in headers.items()}
