"""A connection that carries one request at a time and never blocks: epoll reports when it is ready.

With just enough of HTTP/1.1 to know where an answer ends and whether another may follow it.
"""

import socket
from typing import Self

from loadtest.client.result import Address

LENGTH = b"\r\ncontent-length:"
CLOSE = b"\r\nconnection: close"
END = b"\r\n\r\n"
FREE = -1  # the number of no request
RECEIVED = 1 << 16  # bytes at a time
HUNG_UP = "the server closed the connection"


class Connection:
    __slots__ = ("descriptor", "number", "received", "socket", "unsent")

    def __init__(self, address: Address) -> None:
        """Begins to connect; the first event reports whether that succeeds."""
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
        """A connection over which a request has been answered; OSError or NotHttp if it was not."""
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
        while not data or not size_of(data) or len(data) < size_of(data):
            more = self.socket.recv(RECEIVED)
            if not more:
                raise ConnectionResetError(HUNG_UP)
            data += more


class NotHttp(Exception):
    """An answer whose end is unknown."""


def size_of(data: bytes) -> int:
    """The bytes of head and body together; 0 while the head is incomplete."""
    end = data.find(END)
    if end < 0:
        return 0
    at = data.find(LENGTH, 0, end)
    head = data
    if at < 0:  # most servers write it in lower case: others are recognized only here
        head = data[: end + 2].lower()
        at = head.find(LENGTH)
    if at < 0:
        raise NotHttp("an answer without Content-Length")
    at += len(LENGTH)
    try:
        return end + len(END) + int(head[at : head.find(b"\r", at)])
    except ValueError:
        raise NotHttp("a Content-Length that is no number") from None


def status_of(data: bytes) -> int:
    try:
        return int(data[9:12])
    except ValueError:
        raise NotHttp("a status that is no number") from None


def closes(data: bytes) -> bool:
    """Whether the server closes the connection after this answer."""
    return CLOSE in data[: data.find(END)].lower()
