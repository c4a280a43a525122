"""The result of parsing a stream of bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

End = Literal["open", "closed", "refused"]  # more may follow, the last request was read, an error
OPEN: End = "open"
CLOSED: End = "closed"
REFUSED: End = "refused"
CODING = b"transfer-encoding"


@dataclass(frozen=True)
class Request:
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]  # names in lower case
    body: bytes


def request(
    method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> Request:
    """Codings are converted to lower case, as by h11."""
    named = [(name, value.lower() if name == CODING else value) for name, value in headers]
    return Request(method, target, tuple(named), body)


@dataclass(frozen=True)
class Reading:
    requests: tuple[Request, ...]  # the complete ones
    end: End
    reason: str = ""  # why it was rejected
