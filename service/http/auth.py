"""Access: API keys for predictions, the admin token for changing which version serves.

    DIGITSERVE_API_KEYS     unset: open; else each request must present a key, except for probes,
                            /metrics and pages, which have nothing to protect
    DIGITSERVE_ADMIN_TOKEN  unset: closed; the token is also accepted in place of a key

A secret is sent as `Authorization: Bearer <secret>`, a key also as `X-API-Key: <key>`. Neither is
ever logged.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.errors import Problem
from service.problem_types.operation import (
    ADMIN_CLOSED,
    NO_ADMIN_TOKEN,
    NO_API_KEY,
    WRONG_ADMIN_TOKEN,
    WRONG_API_KEY,
)
from service.settings import Settings

# Open even where there are keys: their clients carry none.
OPEN = re.compile(
    r"/(livez|readyz|metrics)?"
    r"|/v2/health/(live|ready)|/v2/models/[^/]+(/versions/[^/]+)?/ready"
    r"|/(docs|openapi\.json)|/problems(/.*)?|/(web|static-offline-docs)/.*"
)


# For OpenAPI, which documents it for each route that depends on it.
_Documented = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, scheme_name="AdminToken")),
]


class Access:
    def __init__(self, settings: Settings) -> None:
        token = settings.admin_token
        self._token = None if token is None else _digest(token.get_secret_value().encode())
        keys = [_digest(key.get_secret_value().encode()) for key in settings.api_keys]
        self.requires_keys = bool(keys)
        self._keys = keys if self._token is None else [*keys, self._token]

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises Problem 401 unless a request for what is not open has a key."""
        if not self.requires_keys:
            return
        given = self.key_of(headers)
        if given is None:
            raise Problem(
                NO_API_KEY, "send an API key: Authorization: Bearer <key>, or X-API-Key: <key>"
            )
        digest = _digest(given)
        # All of them, whichever matches: the duration must reveal nothing.
        if not sum([compare_digest(digest, key) for key in self._keys]):
            raise Problem(WRONG_API_KEY, "this API key is not, or no longer, one of ours")

    def key_of(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        """The key that a checked request presented; None where there are no keys."""
        if not self.requires_keys:
            return None
        return headers[b"x-api-key"] if b"x-api-key" in headers else _bearer(headers)

    def check_admin(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises Problem 401 or 403 unless a request has the admin token."""
        if self._token is None:
            raise Problem(
                ADMIN_CLOSED,
                "the admin routes are closed: DIGITSERVE_ADMIN_TOKEN is not set",
            )
        given = _bearer(headers)
        if given is None or not compare_digest(_digest(given), self._token):
            raise Problem(
                NO_ADMIN_TOKEN if given is None else WRONG_ADMIN_TOKEN,
                "send the admin token: Authorization: Bearer <DIGITSERVE_ADMIN_TOKEN>",
            )

    def admin(self, request: Request, documented: _Documented = None) -> None:
        """A dependency of FastAPI's routes that change anything."""
        self.check_admin(dict(request.scope["headers"]))


def _bearer(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else None


def _digest(secret: bytes) -> bytes:
    """All digests have the same length, as a comparison in constant time needs."""
    return sha256(secret).digest()
