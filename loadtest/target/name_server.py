"""A DNS server that answers every name with the addresses of all replicas.

Docker and Kubernetes have such names for the containers of a service; a balancer that is measured
or tested without them gets one here.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from socketserver import BaseRequestHandler, UDPServer
from threading import Thread

from loadtest.client.result import Address

HEADER = 12  # bytes
A, INTERNET, TTL = 1, 1, 1  # TTL: seconds
ANSWERED = 0x8580  # flags: authoritative, without an error
THE_NAME = 0xC00C  # a pointer to the name in the question


class NameServer(UDPServer):
    """Listens at once; answers while the block of `running` does."""

    def __init__(self, host: str, port: int, addresses: Sequence[str]) -> None:
        super().__init__((host, port), _Handler)
        self.addresses = addresses

    @contextmanager
    def running(self) -> Iterator[Address]:
        thread = Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield Address(*self.socket.getsockname())
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        question, socket = self.request
        socket.sendto(answer(question, self.server.addresses), self.client_address)


def answer(question: bytes, addresses: Sequence[str]) -> bytes:
    """The addresses for a question for A records; no record for other types."""
    end = question.index(b"\0", HEADER) + 5  # of the name, its type and class
    kind = struct.unpack(">H", question[end - 4 : end - 2])[0]
    found = addresses if kind == A else ()
    header = question[:2] + struct.pack(">HHHHH", ANSWERED, 1, len(found), 0, 0)
    records = [
        struct.pack(">HHHIH", THE_NAME, A, INTERNET, TTL, 4) + IPv4Address(address).packed
        for address in found
    ]
    return b"".join([header, question[HEADER:end], *records])
