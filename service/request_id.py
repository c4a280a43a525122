"""What a request is called in its answer, in the log and in traces."""

import re
from collections.abc import Mapping
from itertools import count
from secrets import token_hex

# A client's own id is kept if it cannot forge a log line.
_ALLOWED = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# An id must be unique, not secret: a random start and a number cost a tenth of random bytes.
_START = token_hex(6).encode()
_NUMBERS = count()


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's own X-Request-ID, if it may be used, or a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _ALLOWED.fullmatch(given):
        return given
    return b"%b%08x" % (_START, next(_NUMBERS))
