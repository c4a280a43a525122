"""A connection that carries one request at a time and never waits: epoll says when it may go on."""

import socket
from typing import Self

from loadtest.client.openloop import http
from loadtest.client.result import Address

FREE = -1  # the number of no request
RECEIVED = 1 << 16  # bytes at a time
HUNG_UP = "the server hung up"


class Connection:
    __slots__ = ("descriptor", "number", "received", "socket", "unsent")

    def __init__(self, address: Address) -> None:
        """Begins to connect; the first event says whether that succeeds."""
        self.socket = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(address)
        self.descriptor = self.socket.fileno()
        self.number = FREE  # of the request that it carries
        self.unsent = b""
        self.received = b""  # the beginning of an answer

    @classmethod
    def answered(cls, address: Address, request: bytes, patience: float) -> Self:
        """One over which a request was answered already; OSError or NotHttp if it was not."""
        connection = cls(address)
        connection.socket.settimeout(patience)
        try:
            connection.socket.sendall(request)
            connection._receive_answer()
        except BaseException:
            connection.socket.close()
            raise
        connection.socket.setblocking(False)
        return connection

    def send(self, data: bytes) -> bool:
        """True once all is sent. An error is reported by the event that follows it."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        self.unsent = data[sent:]
        return not self.unsent

    def _receive_answer(self) -> None:
        data = b""
        while not data or not http.size(data) or len(data) < http.size(data):
            more = self.socket.recv(RECEIVED)
            if not more:
                raise ConnectionResetError(HUNG_UP)
            data += more
