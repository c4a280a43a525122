"""Listening sockets, one for a process that serves alone or several on one port, and the limit of
open files that connections need.

On Linux every worker gets a queue of connections of its own (SO_REUSEPORT), and the kernel deals
them out evenly. Elsewhere that option hands all to one socket, so there the workers share one; so
they do everywhere on a Unix socket.

The supervisor imports this: nothing heavy here.
"""

import ctypes
import logging
import resource
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from service.errors import CannotStart
from service.settings import Settings

BACKLOG = 2048  # connections the kernel holds until they are accepted

SO_ATTACH_FILTER = 26  # of Linux; Python's socket module does not name it
# Classic BPF for a listening TCP socket: drops segments with SYN, passes all others, among them the
# ACK that completes a handshake which has begun.
DROP_SYN = b"".join(
    struct.pack("HBBI", code, if_true, if_false, operand)
    for code, if_true, if_false, operand in (
        (0x30, 0, 0, 13),  # load the byte of the TCP header that holds the flags
        (0x45, 0, 1, 0x02),  # does it have SYN?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # pass
    )
)

log = logging.getLogger("service")


def listen(settings: Settings) -> socket.socket:
    """The socket of a process that serves alone."""
    if settings.uds is not None:
        return _listen_on_path(settings.uds)
    return _listen_on_port(settings.host, settings.port)


def listen_together(settings: Settings) -> list[socket.socket]:
    """A socket for each worker, at an address that nobody else listens on."""
    alone, count = listen(settings), settings.workers
    if settings.uds is not None or sys.platform != "linux":
        return [alone, *(alone.dup() for _ in range(1, count))]
    # SO_REUSEPORT would let a second service of the same user in, and each would get half of the
    # requests. A socket without it is refused where anybody listens: that was the question.
    port = alone.getsockname()[1]
    alone.close()
    return [_listen_on_port(settings.host, port, together=True) for _ in range(count)]


def refuse_connections(listener: socket.socket) -> None:
    """Let no further connection complete; those that wait in the kernel can still be accepted.

    For all processes that listen at this socket. Otherwise a connection that completes between the
    last accept and the close is reset, although its client regards it as established. A client that
    connects meanwhile tries again after a second, and is then refused.
    """
    if listener.family == socket.AF_UNIX:
        listener.shutdown(socket.SHUT_RD)
    elif sys.platform == "linux":
        instructions = ctypes.create_string_buffer(DROP_SYN, len(DROP_SYN))
        program = struct.pack("HP", len(DROP_SYN) // 8, ctypes.addressof(instructions))
        try:
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        except OSError as error:  # of a sandbox that does not implement it
            log.warning("connections that arrive while the port closes may be reset: %s", error)


def url_of(listener: socket.socket) -> str:
    """http://host:port, or unix:path."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def remove_path(settings: Settings) -> None:
    """Remove the Unix socket of a service that ends, unless something else has taken its place."""
    path = settings.uds
    if path is not None and path.is_socket() and not _is_listened_on(path):
        with suppress(OSError):
            path.unlink()


def _listen_on_port(host: str, port: int, together: bool = False) -> socket.socket:
    """`together` with others of this service only."""
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
        raise CannotStart(
            f"cannot listen on {host} port {port}: {reason}; "
            "choose others with DIGITSERVE_HOST and DIGITSERVE_PORT"
        ) from error
    return listener


def _listen_on_path(path: Path) -> socket.socket:
    """Replaces the socket that a service which was killed has left there, and nothing else.

    Every user may connect, as to a port: who may is up to the permissions of the folder.
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.exists() and not path.is_socket():
            raise OSError("there is another file")
        if _is_listened_on(path):
            raise OSError("another program listens there")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(BACKLOG)
    except OSError as error:  # also: a path longer than 107 bytes
        listener.close()
        raise CannotStart(
            f"cannot listen on {path}: {error.strerror or error}; choose another path with "
            "DIGITSERVE_UDS"
        ) from error
    return listener


def _is_listened_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


OF_ITS_OWN = 256  # files: sockets it listens on, logs, the model's, the libraries'


def allow_connections(count: int) -> None:
    """Raise this process's own limit to what as many connections need; CannotStart if it may not.

    Most shells give a program 1,024 files and leave it to raise that.
    """
    needed = count + OF_ITS_OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotStart(
            f"DIGITSERVE_MAX_CONNECTIONS={count} needs {needed} open files, the limit is {hard} "
            "(ulimit -Hn): lower the one or raise the other"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
