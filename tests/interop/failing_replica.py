"""A replica that is ready and fails every request, after it has received the whole of it.

GET /readyz     200
GET /v1/live    an event, silence, and another event
others          no answer: the connection is closed
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

SILENCE = 1.0  # seconds


class Received(NamedTuple):
    method: str
    path: str
    request_id: str
    size: int  # bytes of the body


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, received: list[Received]) -> None:
        super().__init__((host, port), _Handler)
        self.received = received


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self._begin("text/plain", length=0)
        elif self.path == "/v1/live":
            self._begin("text/event-stream")
            for event in (b"data: 1\n\n", b"data: 2\n\n"):
                self.wfile.write(event)
                time.sleep(SILENCE)
        else:
            self._fail()

    def do_POST(self) -> None:
        self._fail()

    def do_DELETE(self) -> None:
        self._fail()

    def _fail(self) -> None:
        size = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        request_id = self.headers["X-Request-ID"]
        self.server.received.append(Received(self.command, self.path, request_id, size))
        self.close_connection = True

    def _begin(self, content_type: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def failing_replicas(hosts: tuple[str, ...], port: int) -> Iterator[list[Received]]:
    """One on each of the addresses; yields what all of them receive, in order."""
    received: list[Received] = []
    servers = [_Server(host, port, received) for host in hosts]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield received
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
