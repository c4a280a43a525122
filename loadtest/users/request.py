"""A request of a user, made once and sent many times, and what must come back."""

from typing import NamedTuple

from loadtest.users.answers import Check

PREDICT = "/v1/predict"
INFER = "/v2/models/{model}/infer"


class Request(NamedTuple):
    name: str  # in locust's statistics
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 200
    check: Check | None = None  # of an answer with that status
    method: str = "POST"


def headers_of(kind: str, **more: str) -> dict[str, str]:
    """Of a body; no client of a service that answers in 400 bytes asks it to compress them."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Content-Type": kind, "Accept-Encoding": "identity"} | named
