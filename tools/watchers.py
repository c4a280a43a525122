"""Clients that watch an event stream, in a process of their own.

They read and discard what arrives, so that they take as little CPU as possible from the service.
"""

import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from loadtest.client.result import Address

PATIENCE = 60.0  # seconds until all streams have begun


class NotWatched(Exception):
    """The service refused a stream."""


@contextmanager
def watched(
    address: Address, path: str, count: int, headers: Mapping[str, str] | None = None
) -> Iterator[None]:
    """`count` clients that have received their first event; NotWatched if one is refused."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {address.host}", *_lines(headers or {}), "", ""]
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    process = context.Process(
        target=_watch, args=(address, "\r\n".join(lines).encode(), count, begun), daemon=True
    )
    process.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while not begun.wait(0.1):
            if not process.is_alive() or time.monotonic() > deadline:
                raise NotWatched(f"{path}: the service has not begun {count} streams")
        yield
    finally:
        process.kill()
        process.join()


def _lines(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def _watch(address: Address, request: bytes, count: int, begun: Event) -> None:
    connections = [_begun(address, request) for _ in range(count)]
    begun.set()
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ, connection)
    while True:
        for key, _ in selector.select():
            if not key.data.recv(65536):
                selector.unregister(key.data)


def _begun(address: Address, request: bytes) -> socket.socket:
    """A connection whose first event has arrived: the next watcher waits for it."""
    connection = socket.create_connection((address.host, address.port))
    connection.sendall(request)
    received = b""
    while b"data: " not in received:
        content = connection.recv(65536)
        if not content:
            raise NotWatched(f"the service answered {received[:200]!r}")
        received += content
    return connection
