"""One request goes out, and what came back is looked at before locust counts it."""

from typing import Any

from locust.contrib.fasthttp import FastHttpSession

from loadtest.users.checks import REFUSED
from loadtest.users.requests import Request

UNAVAILABLE = 503

Answer = Any  # locust's ResponseContextManager, whose types are half there


def sent(session: FastHttpSession, request: Request) -> Answer:
    """The answer, which the statistics know nothing of until it is used in a with block."""
    return session.request(
        request.method,
        request.path,
        name=request.name,
        data=request.body,  # type: ignore[arg-type]  # it takes bytes
        headers=request.headers,
        catch_response=True,
    )


def refused(answer: Answer) -> float | None:
    """Seconds after which to come back, from a service that defends itself: no failure."""
    if answer.status_code != UNAVAILABLE:
        return None
    try:
        seconds = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    answer.request_meta["name"] += REFUSED
    answer.success()
    return seconds
