"""A DNS server on a host that answers every name with the addresses of all replicas.

Docker and Kubernetes have such names for the containers of a service.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from socketserver import BaseRequestHandler, UDPServer
from threading import Thread

from tests.scale.hosts import Host

PORT = 53
HEADER = 12  # bytes
A, INTERNET, TTL = 1, 1, 1  # TTL: seconds
ANSWERED = 0x8580  # flags: authoritative, without an error
THE_NAME = 0xC00C  # a pointer to the name in the question


@contextmanager
def name_server(host: Host, addresses: Sequence[str]) -> Iterator[str]:
    """Its address, as host:port."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            question, socket = self.request
            socket.sendto(answer(question, addresses), self.client_address)

    with host.executor() as executor:
        server = executor.submit(UDPServer, (host.address, PORT), Handler).result()
    thread = Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield f"{host.address}:{PORT}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
