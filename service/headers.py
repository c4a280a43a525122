"""The headers of a request, by name, once it is clear what each of them says."""

from collections.abc import Iterable

from service.errors import Problem
from service.problem_types.http import REPEATED_HEADER

# Said twice, they may be two different things to us and to a proxy before us.
ONCE = frozenset(
    {
        b"authorization", b"content-encoding", b"content-length", b"content-type", b"host",
        b"inference-header-content-length", b"x-api-key", b"x-request-id", b"x-request-timeout",
    }
)  # fmt: skip


def by_name(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Names are in lower case. Problem 400 if one that may come once came twice."""
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in headers and name in ONCE:
            raise Problem(
                REPEATED_HEADER, f"the header {name.decode('latin-1')} came twice; send it once"
            )
        headers[name] = value
    return headers
