"""The headers of a request by name, and the id of a request in its response, logs and traces."""

import re
from collections.abc import Iterable, Mapping
from itertools import count, repeat
from secrets import token_hex

from service.errors import Problem
from service.problem_types.http import REPEATED_HEADER

# If one is repeated, the service and a proxy may read different values.
ONCE = frozenset(
    {
        b"authorization", b"content-encoding", b"content-length", b"content-type", b"host",
        b"idempotency-key", b"inference-header-content-length", b"x-api-key", b"x-request-id",
        b"x-request-timeout",
    }
)  # fmt: skip


def by_name(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Names are in lower case. Raises Problem 400 if one that may occur once is repeated."""
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in headers and name in ONCE:
            raise Problem(
                REPEATED_HEADER, f"the header {name.decode('latin-1')} came twice; send it once"
            )
        headers[name] = value
    return headers


# A client's own id is kept if it cannot forge a log line.
_ALLOWED = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# An id must be unique, not secret: a random start and a counter cost a tenth of random bytes.
NEW_IDS = map(b"%b%08x".__mod__, zip(repeat(token_hex(6).encode()), count(), strict=False))


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's own X-Request-ID, if it may be used, or a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _ALLOWED.fullmatch(given):
        return given
    return next(NEW_IDS)
