"""Another version served, as an admin does it, and whether that is so."""

import json
import time
from dataclasses import dataclass

from loadtest.client.asyncio_client import LOST
from loadtest.client.requests import STATUS, get, post
from loadtest.target.server import Running

ACTIVATE = "/v1/models/{name}/versions/{version}/activate"


@dataclass(frozen=True)
class Switch:
    at: float  # seconds since the soak began
    version: str
    seconds: float  # until it was answered
    failed: str  # why; nothing if the version serves


def switch(running: Running, name: str, version: str, token: str, *, began: float) -> Switch:
    """Ask for a version; `began` on time.perf_counter."""
    path = ACTIVATE.format(name=name, version=version)
    sent = time.perf_counter()
    try:
        failed = _activate(running, post(path, b"", {"Authorization": f"Bearer {token}"}))
        took = time.perf_counter() - sent
        failed = failed or _not_serving(running, version)
    except LOST as error:
        took, failed = time.perf_counter() - sent, f"no answer: {error!r}"
    return Switch(sent - began, version, took, failed)


def _activate(running: Running, request: bytes) -> str:
    answer = running.ask(request)
    if answer.status == 200:
        return ""
    return f"answered {answer.status}: {answer.body[:300].decode(errors='replace')}"


def _not_serving(running: Running, version: str) -> str:
    found = json.loads(running.ask(get(STATUS)).body)["model"]["version"]
    return "" if found == version else f"answered 200, but version {found} serves"
