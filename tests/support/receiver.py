"""An OTLP receiver on a real socket, which parses the official schema and records every span.

It can also act as a failing collector: each response is made by a callable.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Headers = dict[str, str]


class ReceivedSpan(NamedTuple):
    """A span, with its ids in hexadecimal and its times in seconds since 1970."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    began: float
    ended: float
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    status: int
    message: str
    resource: dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """A context manager that listens on a free port or on the given one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[["Handler"], None] | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answer = answer or Handler.accept
        self.spans: list[ReceivedSpan] = []
        self.heads: list[tuple[str, Headers]] = []  # path and headers of each message
        self.reached = threading.Event()  # a message has arrived
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.name == name]

    def handle_error(self, *_: object) -> None:
        """Some tests have clients that disconnect."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.heads.append((self.path, headers))
        self.body = body
        self.server.answer(self)
        self.server.reached.set()

    def accept(self) -> None:
        self.server.spans.extend(spans_of(ExportTraceServiceRequest.FromString(self.body)))
        content = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Does not log."""


def answering(status: int, **headers: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


def resetting(handler: Handler) -> None:
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    with suppress(OSError):
        handler.connection.close()


@contextmanager
def hanging() -> Iterator[tuple[Callable[[Handler], None], threading.Event]]:
    """Never responds; the event is set when a client waits."""
    reached, over = threading.Event(), threading.Event()

    def answer(handler: Handler) -> None:
        reached.set()
        over.wait()
        handler.close_connection = True

    try:
        yield answer, reached
    finally:
        over.set()


def spans_of(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for group in request.resource_spans:
        resource = attributes_of(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    span.name,
                    span.kind,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.trace_state,
                    span.start_time_unix_nano / 1e9,
                    span.end_time_unix_nano / 1e9,
                    attributes_of(span.attributes),
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    span.status.code,
                    span.status.message,
                    resource,
                )


def attributes_of(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
