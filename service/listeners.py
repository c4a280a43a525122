"""Listening sockets: one for a process that serves alone, or several on one port.

On Linux every worker gets a queue of connections of its own (SO_REUSEPORT), and the kernel deals
them out evenly. Elsewhere that option hands all to one socket, so there the workers share one.

Only the standard library: the supervisor stays small.
"""

import socket
import sys

from service.life import CannotStart

BACKLOG = 2048  # connections the kernel holds until they are accepted


class PortTaken(CannotStart):
    """The address cannot be listened on; the message says which setting to change."""


def listen(host: str, port: int, together: bool = False) -> socket.socket:
    """A socket that listens on an address; `together` with others of this service only."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if together:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:  # UnicodeError: not even the form of a host name
        reason = getattr(error, "strerror", None) or error
        raise PortTaken(
            f"cannot listen on {host} port {port}: {reason}; "
            "choose others with DIGITSERVE_HOST and DIGITSERVE_PORT"
        ) from error
    return listener


def listen_together(host: str, port: int, count: int) -> list[socket.socket]:
    """As many sockets on one port, which nobody else listens on."""
    alone = listen(host, port)
    if sys.platform != "linux":
        return [alone, *(alone.dup() for _ in range(1, count))]
    # SO_REUSEPORT would let a second service of the same user in, and each would get half of the
    # requests. A socket without it is refused where anybody listens: that was the question.
    port = alone.getsockname()[1]
    alone.close()
    return [listen(host, port, together=True) for _ in range(count)]


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
